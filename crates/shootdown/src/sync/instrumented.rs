//! Atomics that tell an observer of this host thread about each access: address and kind.
//!
//! The package `shootdown-instrumented` compiles the engine with these in place of `core`'s, so that a simulator can
//! count the cache lines that the shipped code touches.

extern crate std;
use core::sync::atomic::{self, Ordering};
use std::cell::Cell;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Load,
    /// A store.
    Store,
    /// A read-modify-write, also where it fails.
    Update,
    /// A fence; it has no address.
    Fence,
}

/// Takes the address of a word and what is done to it.
pub type Observer = fn(usize, Access);

std::thread_local! {
    static OBSERVER: Cell<Option<Observer>> = const { Cell::new(None) };
}

/// Names the observer of this thread's accesses from now on, and returns the one before.
pub fn observe(observer: Option<Observer>) -> Option<Observer> {
    OBSERVER.replace(observer)
}

#[inline]
fn report(address: usize, access: Access) {
    if let Some(observer) = OBSERVER.get() {
        observer(address, access);
    }
}

/// Orders nothing on the one thread of a simulator; the observer is told of fences that order stores before loads.
#[inline]
pub fn fence(order: Ordering) {
    if order == Ordering::SeqCst {
        report(0, Access::Fence);
    }
    atomic::fence(order);
}

/// A 64-bit atomic.
#[derive(Debug)]
pub struct AtomicU64(atomic::AtomicU64);

impl AtomicU64 {
    /// Makes a word.
    #[inline]
    pub const fn new(value: u64) -> Self {
        Self(atomic::AtomicU64::new(value))
    }

    #[inline]
    fn tell(&self, access: Access) {
        report(core::ptr::from_ref(self).addr(), access);
    }

    /// Loads the value.
    #[inline]
    pub fn load(&self, order: Ordering) -> u64 {
        self.tell(Access::Load);
        self.0.load(order)
    }

    /// Stores a value.
    #[inline]
    pub fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
        self.tell(Access::Store);
    }

    /// Stores a value and returns the one before.
    #[inline]
    pub fn swap(&self, value: u64, order: Ordering) -> u64 {
        let old = self.0.swap(value, order);
        self.tell(Access::Update);
        old
    }

    /// Adds and returns the value before.
    #[inline]
    pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        let old = self.0.fetch_add(value, order);
        self.tell(Access::Update);
        old
    }

    /// Subtracts and returns the value before.
    #[inline]
    pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        let old = self.0.fetch_sub(value, order);
        self.tell(Access::Update);
        old
    }

    /// Sets bits and returns the value before.
    #[inline]
    pub fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
        let old = self.0.fetch_or(value, order);
        self.tell(Access::Update);
        old
    }

    /// Keeps bits and returns the value before.
    #[inline]
    pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
        let old = self.0.fetch_and(value, order);
        self.tell(Access::Update);
        old
    }

    /// Stores `new` where the value is `old`; returns the value before.
    ///
    /// # Errors
    /// The value, where it is another.
    #[inline]
    pub fn compare_exchange(&self, old: u64, new: u64, ok: Ordering, failed: Ordering) -> Result<u64, u64> {
        let found = self.0.compare_exchange(old, new, ok, failed);
        self.tell(Access::Update);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    std::thread_local! {
        static SEEN: Cell<(usize, usize, usize)> = const { Cell::new((0, 0, 0)) };
    }

    #[test]
    fn the_observer_is_told_of_each_access_and_fence() {
        let before = observe(Some(|address, access| {
            let (loads, updates, fences) = SEEN.get();
            SEEN.set(match access {
                Access::Load => (loads + 1, updates, fences),
                Access::Store | Access::Update => (loads, updates + usize::from(address != 0), fences),
                Access::Fence => (loads, updates, fences + 1),
            });
        }));
        assert!(before.is_none());
        let word = AtomicU64::new(1);
        assert_eq!(word.fetch_add(2, Ordering::Relaxed), 1);
        assert_eq!(word.load(Ordering::Relaxed), 3);
        assert_eq!(word.compare_exchange(5, 6, Ordering::Relaxed, Ordering::Relaxed), Err(3));
        fence(Ordering::SeqCst);
        fence(Ordering::Acquire);
        observe(None);
        word.store(9, Ordering::Relaxed);
        assert_eq!(SEEN.get(), (1, 2, 1));
    }
}
