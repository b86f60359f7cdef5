use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use shootdown_explore::sync::{self, Word};

/// A spin lock; interrupts stay on while it is held.
#[derive(Debug)]
pub(crate) struct Lock {
    held: Word,
}

impl Lock {
    pub(crate) fn new() -> Self {
        Self { held: Word::new("held", 0) }
    }

    pub(crate) fn lock(&self) {
        sync::retry(|| {
            let taken = self.held.compare_exchange(0, 1, Acquire, Relaxed);
            if taken.is_err() {
                // Waits rather than spins: who can never get it is stuck, and not busy for ever.
                sync::wait_until(|| self.held.load(Relaxed) == 0);
            }
            taken.ok()
        });
    }

    pub(crate) fn unlock(&self) {
        self.held.store(0, Release);
    }
}
