//! What remains to be done when a callback unwinds in the middle of a call; `docs/hard-life.md` has the table.
//!
//! Where panics abort, all of this compiles to nothing.

use crate::engine::Shootdown;
use crate::hw;
use crate::percpu::{CpuLocal, IpiState, Loaded};
use crate::platform::{OnInstall, Platform};
use crate::space::AddressSpace;
use crate::sync::UNWINDS;
use crate::tags::TagPolicy;
use crate::this_cpu::Cpu;
use crate::types::Tag;
use core::sync::atomic::Ordering;

/// Interrupts that are off while it is not known on which CPU.
pub(crate) struct Off<'a, P: Platform> {
    pub(crate) engine: &'a Shootdown<P>,
    pub(crate) were_on: bool,
}

impl<P: Platform> Drop for Off<'_, P> {
    fn drop(&mut self) {
        self.engine.platform().irq_restore(self.were_on);
    }
}

/// The handling of IPI requests that were taken. If it is dropped while a callback unwinds, it puts a request back: a
/// CPU that waits for the answer interrupts this CPU again after a stall.
pub(crate) struct Unanswered<'a>(pub(crate) &'a CpuLocal);

impl Drop for Unanswered<'_> {
    #[cold]
    fn drop(&mut self) {
        if !UNWINDS {
            return;
        }
        // ORDER(SD-6): relaxed; only this CPU takes it, which has read what was asked.
        self.0.mail.ipi_pending.fetch_add(IpiState::REQUESTED.0, Ordering::Relaxed);
    }
}

/// A change of what is loaded that is under way. If it is dropped while a callback unwinds, the CPU stays between two
/// roots: what the hardware has loaded, and what it holds under which tag, is unknown until [`Cpu::settle`].
pub(crate) struct Changing<'a>(pub(crate) &'a CpuLocal);

impl Drop for Changing<'_> {
    #[cold]
    fn drop(&mut self) {
        if !UNWINDS {
            return;
        }
        // ORDER: relaxed. It promises less than any word before it, as in `load`: a CPU that reads it waits (`switch-vs-flush`).
        self.0.published.loaded.store(Loaded::SWITCHING.0, Ordering::Relaxed);
    }
}

impl<P: Platform> Cpu<'_, P> {
    /// Makes `home` what user code on this CPU runs in, or leaves what is loaded.
    pub(crate) fn return_to(self, home: Option<&AddressSpace<P>>) {
        match home {
            Some(home) => self.switch_to_rarely(home),
            None => self.leave(),
        }
    }

    /// Loads nothing and forgets everything, where a callback has left this CPU between two roots by unwinding. Until
    /// then flushes and ends of spaces wait for the CPU. It may be in the masks of both spaces, and stays there.
    #[inline]
    pub(crate) fn settle(self) {
        if UNWINDS && self.loaded() == Loaded::SWITCHING {
            self.load_nothing();
        }
    }

    #[cold]
    #[inline(never)]
    fn load_nothing(self) {
        self.unload_and_forget();
        self.publish_loaded(Loaded::NOTHING);
    }

    /// Loads nothing and forgets everything; says nothing of it yet.
    pub(crate) fn unload_and_forget(self) {
        let platform = self.engine.platform();
        hw::install(platform, None, Tag::NONE, OnInstall::Keep);
        self.flush_everything();
        platform.tags().on_unload(self.tags(self.me()));
    }
}
