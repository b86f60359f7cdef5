//! When a scenario ends.

use crate::arch;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);
static DEADLINE: AtomicU64 = AtomicU64::new(0);

/// Forgets the last scenario: the next one ends at `deadline`, or earlier.
pub fn begin(deadline: u64) {
    DEADLINE.store(deadline, Ordering::Relaxed);
    STOP.store(false, Ordering::Release);
}

/// Asks tasks to come to an end if it is time.
pub fn look_at_the_clock() {
    if arch::ticks() > DEADLINE.load(Ordering::Relaxed) {
        stop();
    }
}

/// Whether tasks should come to an end.
pub fn stopping() -> bool {
    STOP.load(Ordering::Acquire)
}

/// Asks tasks to come to an end.
pub fn stop() {
    STOP.store(true, Ordering::Release);
}

/// Asks tasks to come to an end within half a second.
pub fn stop_soon() {
    DEADLINE.fetch_min(arch::ticks() + arch::ticks_per_second() / 2, Ordering::Relaxed);
}
