//! The one place where the sanitizer's cells come from.
//!
//! Kernels get `core`'s. The packages under `crates/checked` compile this same source with cells of the explorer or of
//! shuttle, so that the sanitizer's own races are explored together with the engine's.

use core::sync::atomic::Ordering;

pub(crate) use imp::{Word, fence};

/// Replaces the word's value by `value` if that is larger.
pub(crate) fn raise(word: &Word, value: u64) {
    let mut seen = word.load(Ordering::Relaxed);
    while seen < value {
        match word.compare_exchange(seen, value) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

#[cfg(shootdown_explore)]
mod imp {
    use core::sync::atomic::Ordering;
    pub(crate) use shootdown_explore::sync::fence;

    #[derive(Debug)]
    pub(crate) struct Word(shootdown_explore::sync::Word);

    impl Word {
        pub(crate) const fn new(name: &'static str, value: u64) -> Self {
            Self(shootdown_explore::sync::Word::new(name, value))
        }
        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.0.load(order)
        }
        pub(crate) fn store(&self, value: u64, order: Ordering) {
            self.0.store(value, order);
        }
        pub(crate) fn add(&self, value: u64) -> u64 {
            self.0.fetch_add(value, Ordering::Release)
        }
        pub(crate) fn compare_exchange(&self, old: u64, new: u64) -> Result<u64, u64> {
            self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed)
        }
    }
}

#[cfg(not(shootdown_explore))]
mod imp {
    #[cfg(not(shootdown_shuttle))]
    use core::sync::atomic as cells;
    #[cfg(shootdown_shuttle)]
    use shuttle::sync::atomic as cells;

    use cells::AtomicU64;
    pub(crate) use cells::fence;
    use core::sync::atomic::Ordering;

    /// A shared word; `name` is for the explorer's drawings and costs nothing here.
    #[derive(Debug)]
    pub(crate) struct Word(AtomicU64);

    impl Word {
        #[inline]
        pub(crate) const fn new(_name: &'static str, value: u64) -> Self {
            Self(AtomicU64::new(value))
        }
        #[inline]
        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.0.load(order)
        }
        #[inline]
        pub(crate) fn store(&self, value: u64, order: Ordering) {
            self.0.store(value, order);
        }
        #[inline]
        pub(crate) fn add(&self, value: u64) -> u64 {
            self.0.fetch_add(value, Ordering::Release)
        }
        #[inline]
        pub(crate) fn compare_exchange(&self, old: u64, new: u64) -> Result<u64, u64> {
            self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed)
        }
    }
}
