//! Waiting for other CPUs, and listening meanwhile.

use crate::engine::Shootdown;
use crate::fault::{Rule, without};
use crate::here::Here;
use crate::percpu::{Bell, CpuLocal};
use crate::platform::{Platform, Span};
use crate::sync::{self, UNWINDS, Waited};
use crate::types::CpuId;
use core::cell::Cell;
use core::sync::atomic::Ordering;

/// The calling CPU while it waits: it looks at its own doorbell (SD-11), so whoever rings need not interrupt it.
///
/// ```text
///   this CPU                     a CPU that rings
///   bell := listens              request
///   polls the bell               old := bell; bell += a ring
///   takes the bell, answers      kicks if old was 0
/// ```
/// Whoever changes the bell exchanges one word. So who finds "listens" has left its ring for this CPU's next exchange, which
/// answers. The last one leaves 0, and everybody kicks again; or, where somebody kicked this CPU and it answered before the
/// interrupt came, it leaves "kicked", and nobody kicks before it has come. Explored by `two-flushers`, `kick-in-flight`.
pub(crate) struct Listener<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    local: &'a CpuLocal,
    /// Whether rings were taken and are not answered yet: where a callback unwinds meanwhile, they are put back.
    owes: Cell<bool>,
}

impl<'a, P: Platform> Listener<'a, P> {
    /// Begins to listen on the CPU on which the pin keeps the thread.
    #[inline]
    pub(crate) fn begin(engine: &'a Shootdown<P>, _: &'a P::Pin) -> Self {
        let platform = engine.platform();
        let listener = Self { engine, local: platform.local(platform.cpu()), owes: Cell::new(false) };
        listener.take_bell(Bell::QUIET, Bell::listening);
        listener
    }

    /// Whether somebody rang, or an interrupt handler of this CPU waited itself, and listens no more.
    fn hears(&self) -> bool {
        // ORDER: relaxed; the exchange that follows has the order (`two_flushers`).
        let bell = Bell(self.local.mail.rung.load(Ordering::Relaxed));
        !without(Rule::WaitServes) && (bell.is_rung() || !bell.listens())
    }

    /// Leaves in the doorbell what `next` says and answers, if it was rung. An interrupt in between may wait for other CPUs,
    /// which answer for themselves meanwhile.
    #[inline]
    fn take_bell(&self, usual: Bell, next: fn(Bell) -> Bell) {
        if !without(Rule::WaitServes) && self.local.take_bell(usual, next) {
            self.owes.set(UNWINDS);
            self.answer();
            self.owes.set(false);
        }
    }

    #[cold]
    fn answer(&self) {
        Here::enter(self.engine, Span::Serve).answer();
    }

    /// Waits until `ready`, answering this CPU's own doorbell (SD-11), and telling the platform when `cpu` is late.
    pub(crate) fn wait_for(&self, cpu: CpuId, ready: impl Fn() -> bool) {
        let mut polls = 0;
        while self.wait_until_late(&mut polls, &ready) == Waited::Late {
            self.still_late(cpu, polls);
        }
    }

    /// Waits until `ready`, or until another [`STALL_POLLS`](Platform::STALL_POLLS) polls have failed.
    #[inline]
    fn wait_until_late(&self, polls: &mut u64, ready: &impl Fn() -> bool) -> Waited {
        let platform = self.engine.platform();
        loop {
            let heard = Cell::new(false);
            let outcome = sync::patience(
                polls,
                P::STALL_POLLS,
                || {
                    let done = ready();
                    heard.set(!done && self.hears());
                    done || heard.get()
                },
                |polls| platform.relax(polls),
            );
            match outcome {
                Waited::Ready if heard.get() => self.take_bell(Bell::LISTENING, Bell::listening),
                ended => return ended,
            }
        }
    }

    #[cold]
    fn still_late(&self, cpu: CpuId, polls: u64) {
        let platform = self.engine.platform();
        platform.stalled(cpu, polls);
        self.local.own.counters.stalls.bump();
        // The request stands; only the interrupt may have been lost (SD-14).
        platform.kick(cpu);
    }
}

impl<P: Platform> Drop for Listener<'_, P> {
    #[inline]
    fn drop(&mut self) {
        if UNWINDS && self.owes.get() {
            self.local.hang_up();
            return;
        }
        self.take_bell(Bell::LISTENING, Bell::silent);
    }
}

impl<P: Platform> Shootdown<P> {
    /// Waits as [`Listener::wait_for`] does, and listens no longer than that takes.
    ///
    /// Not generic, so that its code is there once.
    #[inline(never)]
    pub(crate) fn wait_for(&self, cpu: CpuId, ready: &dyn Fn() -> bool) {
        if !sync::EAGER || !ready() {
            let pin = self.platform().pin();
            Listener::begin(self, &pin).wait_for(cpu, ready);
        }
    }

    /// Waits for something that need not happen: until `ready`, or until `cpu` is late once and was told of and kicked again.
    #[inline(never)]
    pub(crate) fn wait_until_late(&self, cpu: CpuId, ready: &dyn Fn() -> bool) {
        if !sync::EAGER || !ready() {
            let pin = self.platform().pin();
            let (listener, mut polls) = (Listener::begin(self, &pin), 0);
            if listener.wait_until_late(&mut polls, &ready) == Waited::Late {
                listener.still_late(cpu, polls);
            }
        }
    }
}
