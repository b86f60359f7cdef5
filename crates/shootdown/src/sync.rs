//! The one place where atomics come from.
//!
//! Kernels get `core`'s. The packages under `checks` compile this same source with three others: the cells of the
//! explorer and of loom, so that what is checked is what ships, and instrumented ones, which report each access.

use core::sync::atomic::Ordering;

pub(crate) use imp::patience;
#[cfg(not(shootdown_loom))]
pub use imp::wait_until;
pub use imp::{Word, fence, retry};

#[cfg(shootdown_instrumented)]
pub mod instrumented;

/// Bit of a scenario's context: a wait may time out once (check builds).
#[cfg(any(shootdown_explore, shootdown_loom))]
pub const STALLS: u64 = 1 << 16;

/// Declares a function `const` wherever cells can be made in constants (everywhere but under loom).
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => {
        #[cfg(not(shootdown_loom))]
        $(#[$meta])*
        $vis const fn $($rest)*
        #[cfg(shootdown_loom)]
        $(#[$meta])*
        $vis fn $($rest)*
    };
}
pub(crate) use const_fn;

/// How a round of polling ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The condition holds.
    Ready,
    /// The condition did not come true within the bound.
    TimedOut,
}

/// Whether a condition is worth a look before a wait for it begins. The explorer's wait looks by itself, and a second
/// look would only multiply its states.
pub(crate) const EAGER: bool = cfg!(not(any(shootdown_explore, shootdown_loom)));

/// Whether a callback may unwind and its caller go on. `false` where panics abort, as on bare metal: there the recovery
/// code costs nothing. Checkers abandon a run that panics, and counts are those of bare metal.
pub(crate) const UNWINDS: bool =
    cfg!(all(panic = "unwind", not(any(shootdown_explore, shootdown_loom, shootdown_instrumented))));

/// Replaces the word's value by `step` of it, until that succeeds or `step` declines.
///
/// # Errors
/// The value that `step` declined.
pub(crate) fn update(word: &Word, order: Ordering, step: impl Fn(u64) -> Option<u64>) -> Result<u64, u64> {
    imp::retry(|| {
        let old = word.load(Ordering::Relaxed);
        match step(old) {
            None => Some(Err(old)),
            Some(new) => word.compare_exchange(old, new, order, Ordering::Relaxed).ok().map(Ok),
        }
    })
}

#[cfg(shootdown_explore)]
mod imp {
    pub use shootdown_explore::sync::{Word, fence, retry, wait_until};

    /// Blocks until `ready`. With [`STALLS`](super::STALLS) in the scenario's context the wait may also time out,
    /// once, at any moment.
    pub(crate) fn patience(
        spins: &mut u64,
        bound: u64,
        ready: impl Fn() -> bool,
        _: impl Fn(u64),
    ) -> super::Waited {
        use shootdown_explore::sync;
        if *spins < bound && sync::context() & super::STALLS != 0 && sync::choose(2) == 1 {
            *spins = bound;
            return super::Waited::TimedOut;
        }
        sync::wait_until(ready);
        super::Waited::Ready
    }
}

#[cfg(not(shootdown_explore))]
mod imp {
    #[cfg(shootdown_instrumented)]
    use super::instrumented as cells;
    #[cfg(not(any(shootdown_loom, shootdown_instrumented)))]
    use core::sync::atomic as cells;
    #[cfg(shootdown_loom)]
    use loom::sync::atomic as cells;

    use cells::AtomicU64;
    pub use cells::fence;
    use core::sync::atomic::Ordering;

    /// A 64-bit word that CPUs share.
    #[derive(Debug)]
    #[repr(transparent)]
    pub struct Word(AtomicU64);

    impl Word {
        super::const_fn! {
            /// Makes a word. The explorer's drawings call it `name`, which costs nothing here.
            #[inline]
            pub fn new(_name: &'static str, value: u64) -> Self {
                Self(AtomicU64::new(value))
            }
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
        /// Stores `new` if the word holds `old`; returns the value found either way.
        ///
        /// # Errors
        /// The value found, where it was not `old`.
        #[inline]
        pub fn compare_exchange(
            &self,
            old: u64,
            new: u64,
            ok: Ordering,
            failed: Ordering,
        ) -> Result<u64, u64> {
            self.0.compare_exchange(old, new, ok, failed)
        }
    }

    /// Polls `condition`, which only loads words, until it is true.
    #[cfg(not(shootdown_loom))]
    #[inline]
    pub fn wait_until(condition: impl Fn() -> bool) {
        while !condition() {
            hint();
        }
    }

    /// Repeats `attempt`, which keeps nothing outside words, until it answers.
    #[inline]
    pub fn retry<T>(attempt: impl Fn() -> Option<T>) -> T {
        loop {
            if let Some(answer) = attempt() {
                return answer;
            }
            hint();
        }
    }

    /// Polls `ready` with `relax` in between; answers `TimedOut` each time another `bound` polls have failed.
    #[inline]
    pub(crate) fn patience(
        spins: &mut u64,
        bound: u64,
        ready: impl Fn() -> bool,
        relax: impl Fn(u64),
    ) -> super::Waited {
        loop {
            if ready() {
                return super::Waited::Ready;
            }
            *spins += 1;
            relax(*spins);
            hint();
            if *spins % bound == 0 {
                return super::Waited::TimedOut;
            }
        }
    }

    #[inline]
    fn hint() {
        #[cfg(not(shootdown_loom))]
        core::hint::spin_loop();
        #[cfg(shootdown_loom)]
        loom::thread::yield_now();
    }
}
