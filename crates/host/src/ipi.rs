//! IPIs between CPUs that are threads, or fibers of one.

use crate::poll_word::PollWord;
use crate::sleeper::Sleeper;
use crate::sync::{AtomicU32, Ordering};
use shootdown::CpuId;

/// Why a CPU must poll.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    /// The engine's IPI.
    HandleIpi = 1,
    /// Another thread wants the CPU out of guest code.
    Leave = 2,
    /// The guest fences this hart.
    Fence = 4,
}

/// What a CPU found when it looked.
#[derive(Clone, Copy)]
pub(crate) struct Calls(u32);

impl Calls {
    /// All kinds.
    pub(crate) const ALL: Self = Self(Call::HandleIpi as u32 | Call::Leave as u32 | Call::Fence as u32);
    /// None.
    pub(crate) const NONE: Self = Self(0);
    /// The kinds that a wait answers.
    pub(crate) const IN_WAITS: Self = Self(Call::HandleIpi as u32 | Call::Fence as u32);

    pub(crate) fn has(self, call: Call) -> bool {
        self.0 & call as u32 != 0
    }
}

/// Calls that a CPU has not looked at yet, the embedder's poll word for them, and the thread to wake.
#[derive(Debug, Default)]
pub(crate) struct IpiFlag {
    calls: AtomicU32,
    pub(crate) lent: Option<PollWord>,
    pub(crate) sleeper: Sleeper,
}

impl IpiFlag {
    /// Makes a flag that sets a lent word too.
    pub(crate) fn new(lent: Option<PollWord>) -> Self {
        Self { lent, ..Self::default() }
    }

    /// Calls `cpu`, whose flag this is, and wakes its thread in case it is parked.
    ///
    /// ```text
    ///   sender                       target
    ///   calls |= call                clears its bits of the lent word
    ///   sets the bits of the word    takes the calls
    /// ```
    /// A target that finds no call has cleared the word before the sender sets it, so that the word says "look again".
    pub(crate) fn raise(&self, cpu: CpuId, call: Call) {
        // ORDER(SD-6): what the caller asks for comes before the call is seen; partner: `take`.
        self.calls.fetch_or(call as u32, Ordering::Release);
        if let Some(lent) = &self.lent {
            lent.raise();
        }
        self.sleeper.wake(cpu);
    }

    /// Whether a call is pending. Guest code checks this between instructions.
    #[inline]
    pub(crate) fn is_raised(&self) -> bool {
        // ORDER: relaxed; `take` looks again.
        self.calls.load(Ordering::Relaxed) != 0 || self.lent.as_ref().is_some_and(PollWord::is_raised)
    }

    /// Takes calls of these kinds.
    pub(crate) fn take(&self, kinds: Calls) -> Calls {
        if let Some(lent) = &self.lent {
            lent.clear();
        }
        // ORDER(SD-6): the call before what was asked for is read; partner: `raise`.
        let calls = self.calls.fetch_and(!kinds.0, Ordering::Acquire);
        if let Some(lent) = self.lent.as_ref().filter(|_| calls & !kinds.0 != 0) {
            lent.raise();
        }
        Calls(calls & kinds.0)
    }
}
