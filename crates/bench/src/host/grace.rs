//! Grace periods: memory is given back when every thread has passed a point where it holds none.

use super::rivals::{Threads, wait};
use super::way::Way;
use seize::Guard as _;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Things that were given back so far, by either way.
static GIVEN_BACK: AtomicU64 = AtomicU64::new(0);

struct Epoch;

impl Way for Epoch {
    fn name(&self) -> &'static str {
        "crossbeam-epoch"
    }
    fn flush(&mut self) {
        let before = GIVEN_BACK.load(Ordering::Acquire);
        crossbeam_epoch::pin().defer(|| GIVEN_BACK.fetch_add(1, Ordering::Release));
        wait(|| {
            crossbeam_epoch::pin().flush();
            GIVEN_BACK.load(Ordering::Acquire) != before
        });
    }
}

/// Starts threads that enter and leave epochs.
pub(super) fn epoch(sharers: usize) -> (Box<dyn Way>, Threads) {
    let threads = Threads::start(sharers, |_| (Box::new(|| {}), Box::new(|| drop(crossbeam_epoch::pin()))));
    (Box::new(Epoch), threads)
}

struct Seize(Arc<seize::Collector>);

impl Way for Seize {
    fn name(&self) -> &'static str {
        "seize"
    }
    fn flush(&mut self) {
        let before = GIVEN_BACK.load(Ordering::Acquire);
        let guard = self.0.enter();
        // SAFETY: nobody else has the box, and `count` alone gives it back.
        unsafe { guard.defer_retire(Box::into_raw(Box::new(0_u8)), count) };
        guard.flush();
        drop(guard);
        wait(|| {
            self.0.enter().flush();
            GIVEN_BACK.load(Ordering::Acquire) != before
        });
    }
}

/// Gives a box back.
///
/// # Safety
/// The caller must ensure that:
/// 1. the pointer is of a box that nobody uses any more.
unsafe fn count(pointer: *mut u8, _: &seize::Collector) {
    debug_assert!(!ptr::eq(pointer, ptr::null()));
    // SAFETY: 1. the caller's promise.
    drop(unsafe { Box::from_raw(pointer) });
    GIVEN_BACK.fetch_add(1, Ordering::Release);
}

/// Starts threads that enter and leave a collector.
pub(super) fn seize(sharers: usize) -> (Box<dyn Way>, Threads) {
    let collector = Arc::new(seize::Collector::new().batch_size(1));
    let threads = Threads::start(sharers, |_| {
        let collector = Arc::clone(&collector);
        (Box::new(|| {}), Box::new(move || drop(collector.enter())))
    });
    (Box::new(Seize(collector)), threads)
}
