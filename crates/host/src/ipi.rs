//! IPIs between CPUs that are threads.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;

/// Why a CPU's attention is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    /// The engine's IPI.
    HandleIpi = 1,
    /// Somebody wants the CPU out of guest code.
    Leave = 2,
}

/// What a CPU found when it looked.
#[derive(Clone, Copy)]
pub(crate) struct Calls(u32);

impl Calls {
    pub(crate) fn has(self, call: Call) -> bool {
        self.0 & call as u32 != 0
    }
}

/// Calls that a CPU has not looked at yet, and the thread to wake for them.
#[derive(Debug, Default)]
pub(crate) struct IpiFlag {
    calls: AtomicU32,
    thread: Mutex<Option<Thread>>,
}

impl IpiFlag {
    /// Calls, and wakes the thread in case it is parked.
    pub(crate) fn raise(&self, call: Call) {
        // ORDER(SD-6): what the caller asks for comes before the call is seen; partner: `take`.
        self.calls.fetch_or(call as u32, Ordering::Release);
        if let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    /// Whether anybody has called; what guest code looks at between instructions.
    #[inline]
    pub(crate) fn is_raised(&self) -> bool {
        // ORDER: relaxed; `take` looks again.
        self.calls.load(Ordering::Relaxed) != 0
    }

    /// Takes the calls.
    pub(crate) fn take(&self) -> Calls {
        // ORDER(SD-6): the call before what was asked for is read; partner: `raise`.
        Calls(self.calls.swap(0, Ordering::Acquire))
    }

    /// Says which thread to wake.
    pub(crate) fn belongs_to(&self, thread: Option<Thread>) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }
}
