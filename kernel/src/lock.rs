//! Locks.

use crate::arch;

/// A lock whose waiters give way: the CPU that holds it may share the host's thread with them.
pub type Mutex<T> = spin::mutex::Mutex<T, GiveWay>;

/// Lets other CPUs run at each look.
#[derive(Debug)]
pub struct GiveWay;

impl spin::RelaxStrategy for GiveWay {
    #[inline]
    fn relax() {
        arch::yield_now();
    }
}
