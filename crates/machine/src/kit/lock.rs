use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use shootdown_explore::sync::{self, Word};

/// A spin lock; interrupts stay on while it is held. A handler that takes a lock which its own CPU holds is stuck, and
/// is reported as that.
#[derive(Debug)]
pub struct Lock {
    held: Word,
}

impl Lock {
    /// Makes a lock that is free; `held` is what drawings call its word, as in `"list_lock.held"`.
    pub fn new(held: &'static str) -> Self {
        Self { held: Word::new(held, 0) }
    }

    /// Takes the lock.
    pub fn lock(&self) {
        sync::retry(|| {
            let taken = self.held.compare_exchange(0, 1, Acquire, Relaxed);
            if taken.is_err() {
                // Waits rather than spins: a CPU that can never get it is stuck, and not busy for ever.
                sync::wait_until(|| self.held.load(Relaxed) == 0);
            }
            taken.ok()
        });
    }

    /// Gives it back.
    pub fn unlock(&self) {
        self.held.store(0, Release);
    }
}
