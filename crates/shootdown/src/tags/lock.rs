//! The lock of an allocator's tables.

use crate::fault::Site;
use crate::sync::{self, Word, const_fn};
use core::sync::atomic::Ordering;

/// A spin lock: held with interrupts off, for a bounded time, by code that waits for no other CPU, so that a CPU that
/// spins need not handle IPIs (SD-11). Without a rollover a holder reads a few words, and one of each CPU where the
/// space needs a new tag; a rollover goes through the bitmaps too. The lock is not fair: a CPU that spins may lose each
/// race. Each CPU makes a whole switch between two acquisitions, so a waiter loses at most one race to each other CPU
/// for each switch that they make.
#[derive(Debug)]
pub(crate) struct TagLock(Word);

/// The lock, held.
pub(crate) struct Guard<'a>(&'a Word);

impl TagLock {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self(Word::new("tag_lock", 0))
        }
    }

    /// Takes the lock; interrupts are off.
    pub(crate) fn lock(&self) -> Guard<'_> {
        sync::retry(|| {
            // ORDER: relaxed; the value only decides whether to try (`two_spaces_take_a_tag`).
            if self.0.load(Ordering::Relaxed) != 0 {
                return None;
            }
            // ORDER(SD-12): what the last holder did to the tables before what this one reads of them; partner: `drop`.
            self.0.compare_exchange(0, 1, Site::TagLock.acquire(), Ordering::Relaxed).ok()
        });
        Guard(&self.0)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // ORDER(SD-12): what this holder did before the next one reads it; partner: `lock`.
        self.0.store(0, Site::TagUnlock.release());
    }
}
