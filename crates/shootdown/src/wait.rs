//! Waiting for other CPUs, and polling for IPI requests meanwhile.

use crate::engine::Shootdown;
use crate::fault::{Rule, without};
use crate::percpu::{CpuLocal, IpiState};
use crate::platform::{IrqReason, Platform};
use crate::sync::{self, UNWINDS, Waited};
use crate::this_cpu::ThisCpu;
use crate::types::CpuId;
use core::cell::Cell;
use core::sync::atomic::Ordering;

/// The calling CPU while it waits. It polls its own IPI word (SD-11), so a sender need not interrupt it.
///
/// ```text
///   this CPU                     a CPU that sends
///   word := polling              request
///   polls the word               old := word; word += a request
///   takes the word, handles      sends the IPI if old was 0
/// ```
/// Every change of the IPI word is one atomic exchange. A sender that finds "polling" has left its request for this
/// CPU's next exchange, which handles it. The last exchange of a wait stores 0, and from then on senders interrupt
/// again. If an interrupt was sent to this CPU and its request was handled before it arrived, the exchange stores "in
/// flight" instead, and no other interrupt is sent until it has arrived. Explored by `two-flushers`, `ipi-in-flight`.
pub(crate) struct IpiPoller<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    local: &'a CpuLocal,
    /// Whether requests were taken and are not handled yet: if a callback unwinds meanwhile, they are put back.
    unanswered: Cell<bool>,
}

impl<'a, P: Platform> IpiPoller<'a, P> {
    /// Begins to poll on the CPU on which the pin keeps the thread.
    #[inline]
    pub(crate) fn begin(engine: &'a Shootdown<P>, _: &'a P::Pin) -> Self {
        let platform = engine.platform();
        let poller = Self { engine, local: platform.local(platform.cpu()), unanswered: Cell::new(false) };
        poller.take_requests(IpiState::IDLE, IpiState::polling);
        poller
    }

    /// Whether a request is pending, or an interrupt handler of this CPU waited itself and cleared "polling".
    fn has_work(&self) -> bool {
        // ORDER: relaxed; the exchange that follows has the order (`two_flushers`).
        let state = IpiState(self.local.mail.ipi_pending.load(Ordering::Relaxed));
        !without(Rule::WaitHandlesIpis) && (state.is_requested() || !state.is_polling())
    }

    /// Stores `next` of the IPI word and handles what was pending. A nested interrupt may wait for other CPUs, which
    /// handle their own requests meanwhile.
    #[inline]
    fn take_requests(&self, usual: IpiState, next: fn(IpiState) -> IpiState) {
        if !without(Rule::WaitHandlesIpis) && self.local.take_requests(usual, next) {
            self.unanswered.set(UNWINDS);
            self.answer();
            self.unanswered.set(false);
        }
    }

    #[cold]
    fn answer(&self) {
        ThisCpu::enter(self.engine, IrqReason::HandleIpi).answer_apart();
    }

    /// Waits until `ready`, handling this CPU's own IPI requests (SD-11), and tells the platform when `cpu` does not
    /// answer in time.
    pub(crate) fn wait_for(&self, cpu: CpuId, ready: impl Fn() -> bool) {
        let mut polls = 0;
        while self.wait_or_time_out(&mut polls, &ready) == Waited::TimedOut {
            self.report_stall(cpu, polls);
        }
    }

    /// Waits until `ready`, or until another [`STALL_POLLS`](Platform::STALL_POLLS) polls have failed.
    #[inline]
    fn wait_or_time_out(&self, polls: &mut u64, ready: &impl Fn() -> bool) -> Waited {
        let platform = self.engine.platform();
        loop {
            let has_work = Cell::new(false);
            let outcome = sync::patience(
                polls,
                P::STALL_POLLS,
                || {
                    let done = ready();
                    has_work.set(!done && self.has_work());
                    done || has_work.get()
                },
                |polls| platform.relax(polls),
            );
            match outcome {
                Waited::Ready if has_work.get() => self.take_requests(IpiState::POLLING, IpiState::polling),
                ended => return ended,
            }
        }
    }

    /// Waits until secondary TLBs have worked off their queue up to `position`, as for a CPU, and tells the platform
    /// when they are late. No IPI would help.
    fn wait_for_secondary(&self, position: u64) {
        let (engine, mut polls) = (self.engine, 0);
        while self.wait_or_time_out(&mut polls, &|| engine.secondary_is_done(position)) == Waited::TimedOut {
            engine.platform().secondary_stalled(position, polls);
            self.local.own.counters.stalls.bump();
        }
    }

    #[cold]
    fn report_stall(&self, cpu: CpuId, polls: u64) {
        let platform = self.engine.platform();
        platform.stalled(cpu, polls);
        self.local.own.counters.stalls.bump();
        // The request is still posted; only the interrupt may have been lost (SD-14).
        platform.send_ipi(cpu);
    }
}

impl<P: Platform> Drop for IpiPoller<'_, P> {
    #[inline]
    fn drop(&mut self) {
        if UNWINDS && self.unanswered.get() {
            self.local.hang_up();
            return;
        }
        self.take_requests(IpiState::POLLING, IpiState::not_polling);
    }
}

impl<P: Platform> Shootdown<P> {
    /// Waits as [`IpiPoller::wait_for`] does, and polls no longer than that takes.
    ///
    /// Not generic, so that there is one copy of its code.
    #[inline(never)]
    pub(crate) fn wait_for(&self, cpu: CpuId, ready: &dyn Fn() -> bool) {
        let pin = self.platform().pin();
        IpiPoller::begin(self, &pin).wait_for(cpu, ready);
    }

    /// Waits until secondary TLBs have worked off their queue up to `position` (SD-22).
    #[inline(never)]
    pub(crate) fn wait_for_secondary(&self, position: u64) {
        let pin = self.platform().pin();
        IpiPoller::begin(self, &pin).wait_for_secondary(position);
    }

    /// Waits for something that may never happen: until `ready`, or until `cpu` has timed out once, was reported and
    /// was sent another IPI.
    #[inline(never)]
    pub(crate) fn wait_or_time_out(&self, cpu: CpuId, ready: &dyn Fn() -> bool) {
        let pin = self.platform().pin();
        let (poller, mut polls) = (IpiPoller::begin(self, &pin), 0);
        if poller.wait_or_time_out(&mut polls, &ready) == Waited::TimedOut {
            poller.report_stall(cpu, polls);
        }
    }
}
