//! Words that CPUs share, and waiting for them. A platform takes these in place of `core`'s atomics, so that the doctor sees
//! each access.

#[cfg(shootdown_explore)]
pub use shootdown_explore::sync::{Word, fence, retry, wait_until};

#[cfg(not(shootdown_explore))]
pub use native::{Word, fence, retry, wait_until};

#[cfg(not(shootdown_explore))]
mod native {
    use core::sync::atomic::{AtomicU64, Ordering};

    pub use core::sync::atomic::fence;

    /// A 64-bit word that CPUs share.
    #[derive(Debug)]
    #[repr(transparent)]
    pub struct Word(AtomicU64);

    impl Word {
        /// Makes a word; `name` is what the doctor's drawings call it.
        #[inline]
        pub const fn new(name: &'static str, value: u64) -> Self {
            let _ = name;
            Self(AtomicU64::new(value))
        }
        /// Reads the word.
        #[inline]
        pub fn load(&self, order: Ordering) -> u64 {
            self.0.load(order)
        }
        /// Writes the word.
        #[inline]
        pub fn store(&self, value: u64, order: Ordering) {
            self.0.store(value, order);
        }
        /// Replaces the value and returns the old one. Likewise the other read-modify-writes.
        #[inline]
        pub fn swap(&self, value: u64, order: Ordering) -> u64 {
            self.0.swap(value, order)
        }
        /// Adds, wrapping; returns the old value.
        #[inline]
        pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_add(value, order)
        }
        /// Subtracts, wrapping; returns the old value.
        #[inline]
        pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_sub(value, order)
        }
        /// Ors; returns the old value.
        #[inline]
        pub fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_or(value, order)
        }
        /// Ands; returns the old value.
        #[inline]
        pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_and(value, order)
        }
        /// Stores `new` if the word holds `current`; returns the old value either way.
        ///
        /// # Errors
        /// The value found, where it was not `current`.
        #[inline]
        pub fn compare_exchange(
            &self,
            current: u64,
            new: u64,
            ok: Ordering,
            failed: Ordering,
        ) -> Result<u64, u64> {
            self.0.compare_exchange(current, new, ok, failed)
        }
    }

    /// Polls `condition`, which only loads words, until it is true.
    #[inline]
    pub fn wait_until(condition: impl Fn() -> bool) {
        while !condition() {
            core::hint::spin_loop();
        }
    }

    /// Repeats `attempt`, which keeps nothing outside words, until it answers.
    #[inline]
    pub fn retry<T>(attempt: impl Fn() -> Option<T>) -> T {
        loop {
            if let Some(answer) = attempt() {
                return answer;
            }
            core::hint::spin_loop();
        }
    }
}
