//! Waking the thread of a CPU.

use shootdown::CpuId;
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;

/// The thread to wake when its CPU is called.
#[derive(Debug, Default)]
pub(crate) struct Sleeper {
    thread: Mutex<Option<Thread>>,
}

impl Sleeper {
    /// Wakes the thread in case it is parked. One thread may be several CPUs.
    pub(crate) fn wake(&self, _: CpuId) {
        if let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    /// Sets the thread to wake.
    pub(crate) fn belongs_to(&self, thread: Option<Thread>) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }
}
