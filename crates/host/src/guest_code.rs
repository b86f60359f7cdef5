//! Entering guest code, leaving it, and polling.

use crate::host::Host;
use crate::ipi::{Call, Calls};
use crate::this_cpu::{self, Here};
use shootdown::refs::UserRef;
use shootdown::trace::IrqReason;
use shootdown::{Platform, Shootdown};

impl<R: Copy + Send + Sync> Host<R> {
    /// Enters guest code of a space.
    pub(crate) fn enter<P: Platform>(&self, engine: &Shootdown<P>, this_cpu: &Here, space: &UserRef<'_, P>) {
        self.enter_guest(this_cpu.cpu);
        // Requests that were posted while flushes skipped this CPU. The engine's own mark decides, since a wait may have taken
        // the IPI flag.
        handle_ipi(engine, this_cpu);
        // What nobody posted, or posts right now: a flush of kernel memory that found this CPU outside announced its
        // generation first.
        engine.catch_up();
        let fences = &self.at(this_cpu.cpu).fences;
        if fences.is_waiting() {
            fences.serve(this_cpu);
        }
        // A CPU that was outside is lazy on what it ran, whatever the embedder did with the engine meanwhile, so that the
        // switch drops what was flushed.
        engine.enter_lazy();
        engine.switch_to(space);
        this_cpu.set_in_guest(true);
    }

    /// Leaves guest code.
    pub(crate) fn leave<P: Platform>(&self, engine: &Shootdown<P>, this_cpu: &Here) {
        this_cpu.set_in_guest(false);
        engine.enter_lazy();
        self.leave_guest(this_cpu.cpu);
    }

    /// Answers calls of these kinds on their CPU, and returns those that were pending.
    pub(crate) fn answer<P: Platform>(&self, engine: &Shootdown<P>, this_cpu: &Here, kinds: Calls) -> Calls {
        let at = self.at(this_cpu.cpu);
        if !at.ipi_flag.is_raised() {
            return Calls::NONE;
        }
        let calls = at.ipi_flag.take(kinds);
        if calls.has(Call::HandleIpi) {
            handle_ipi(engine, this_cpu);
        }
        if calls.has(Call::Fence) {
            at.fences.serve(this_cpu);
        }
        calls
    }
}

/// Handles the engine's IPI, as an interrupt handler would.
fn handle_ipi<P: Platform>(engine: &Shootdown<P>, this_cpu: &Here) {
    let _acting = this_cpu::act_as(this_cpu);
    let were_on = engine.platform().irq_save(IrqReason::HandleIpi);
    // SAFETY: 1. they are off until the next line; 2. nothing interrupts a thread, and no callback comes here.
    unsafe { engine.handle_ipi() };
    engine.platform().irq_restore(were_on);
}
