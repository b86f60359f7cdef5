//! Flush requests, the wait for them, and gathers (Linux: `flush_tlb_mm_range`, `mmu_gather`).
//!
//! # Errors
//! Each error is that of one verb, and hands back or names what that verb was given: [`Full`] a frame with where it
//! stopped, [`BatchFull`] a space, [`RetireError`] comes with the gather, [`ForeignTicket`] is about a ticket that the
//! caller still has, [`RangeError`] has the numbers of a range. One error type for all verbs would be generic over
//! frames, and its callers would match cases that their verb cannot return.

use crate::engine::Shootdown;
use crate::event::Event;
use crate::fault::{Rule, Site, without};
use crate::mask::{CpuSet, Members};
use crate::platform::{IrqReason, Platform};
use crate::space::AddressSpace;
use crate::sync::{self, UNWINDS};
use crate::tags::{FlushMethod, TagPolicy};
use crate::this_cpu::ThisCpu;
use crate::ticket::Awaited;
use crate::types::{CpuId, Tag};
use crate::wait::IpiPoller;
use core::sync::atomic::Ordering;

#[cfg(shootdown_explore)]
pub use crate::gather::Parts;
pub use crate::gather::{Batch, BatchFull, BatchGather, Full, Gather, PendingFrames};
pub use crate::memory::KernelMemory;
pub use crate::platform::{FlushCosts, LocalFlush, Remote, RemoteFlush};
pub use crate::retired::{Deferral, RetireError, Retired};
pub use crate::ticket::{ForeignTicket, Ticket};
pub use crate::types::{FlushRequest, Generation, Levels, PageRange, PageSize, Pages, RangeError, VirtAddr};

mod announce;
#[cfg(shootdown_explore)]
mod carried;
mod secondary;

/// A flush that was sent and not yet waited for: the old translations may still be in use.
///
/// Dropping it waits, so forgetting to finish it costs time and never safety. `core::mem::forget` skips the wait. Hold
/// no lock over it that a target may need with interrupts off (SD-11).
///
/// # Examples
/// ```compile_fail,E0382
/// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
/// # use machine::*;
/// # use shootdown::flush::FlushRequest;
/// let user = boot(0x1000);
/// let flush = ENGINE.send(&user, FlushRequest::all());
/// flush.finish();
/// flush.finish(); // it was moved
/// ```
#[must_use = "old translations may be in use until finish() returns"]
pub struct Pending<'a, P: Platform> {
    /// `None` if no CPU and no device needs to be waited for.
    flight: Option<Flight<'a, P>>,
}

impl<P: Platform> Shootdown<P> {
    /// Flushes what `request` covers of `space` on every CPU that may hold translations of it (Linux:
    /// `flush_tlb_mm_range`), and returns when none does. Change page tables before the call; those that the request
    /// says are freed may be reused afterwards. Waits, unless this CPU is the only one in the mask and no device is
    /// told.
    ///
    /// # Panics
    /// If another engine made the space, or `request` is for contexts and nothing reaches those
    /// ([`Platform::SYNCS_CONTEXTS`](crate::Platform::SYNCS_CONTEXTS)).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// let user = boot(0x1000);
    /// map(&user, 0x4000, 7);
    /// (0..2).for_each(|cpu| on(cpu, || ENGINE.switch_to(&user)));
    /// assert_eq!(on(1, || load(0x4000)), Some(7));
    ///
    /// unmap(&user, 0x4000);
    /// assert_eq!(on(1, || load(0x4000)), Some(7)); // CPU 1's TLB still has it
    /// ENGINE.flush(&user, FlushRequest::pages(page(0x4000)));
    /// assert_eq!(on(1, || load(0x4000)), None);
    /// assert_eq!(ipis(), 1); // to CPU 1 alone
    /// ```
    #[inline]
    pub fn flush(&self, space: &AddressSpace<P>, request: FlushRequest) {
        self.must_own(space);
        self.flush_own(space, request);
    }

    /// The same for a space that is known to be this engine's.
    #[inline]
    pub(crate) fn flush_own(&self, space: &AddressSpace<P>, request: FlushRequest) {
        let mut position = 0;
        if let Some((generation, first, pin)) = self.begin(space, request, &mut position) {
            self.signal_and_wait(space, request, generation, first, pin);
        }
        self.await_secondary(position);
    }

    /// Begins a flush: sends the IPIs it needs and flushes this CPU. Never waits.
    ///
    /// # Panics
    /// If another engine made the space, or `request` is for contexts and nothing reaches those
    /// ([`Platform::SYNCS_CONTEXTS`](crate::Platform::SYNCS_CONTEXTS)).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// let user = boot(0x1000);
    /// on(1, || ENGINE.switch_to(&user));
    /// let flush = ENGINE.send(&user, FlushRequest::pages(page(0x4000)));
    /// // ... other work, while CPU 1 flushes ...
    /// flush.finish();
    /// assert_eq!(ipis(), 1);
    /// ```
    #[inline]
    pub fn send<'a>(&'a self, space: &'a AddressSpace<P>, request: FlushRequest) -> Pending<'a, P> {
        self.must_own(space);
        self.send_own(space, request)
    }

    /// The same for a space that is known to be this engine's.
    #[inline]
    pub(crate) fn send_own<'a>(
        &'a self,
        space: &'a AddressSpace<P>,
        request: FlushRequest,
    ) -> Pending<'a, P> {
        let mut position = 0;
        match self.begin(space, request, &mut position) {
            Some((generation, first, pin)) => {
                self.signal_and_keep(space, request, generation, first, pin, position)
            }
            None => Pending { flight: Flight::of_secondary(self, position) },
        }
    }

    /// Announces a flush, and posts it to secondary TLBs, whose position goes to `position`. Carries it out if it
    /// concerns this CPU alone; otherwise returns its generation, the first of the other members of the mask, and what
    /// keeps the thread on this CPU.
    ///
    /// An argument, as it is compiled to nothing where there are no secondary TLBs.
    #[inline]
    fn begin(
        &self,
        space: &AddressSpace<P>,
        request: FlushRequest,
        position: &mut u64,
    ) -> Option<(u64, CpuSet, P::Pin)> {
        self.must_reach_contexts(request);
        let platform = self.platform();
        let flight = |generation| Flight::new(self, Some(space), generation, request);
        if without(Rule::NoCountShortcut) && space.users() == 1 {
            // The rule removed: one user, so nobody else can have it loaded. The seed's mistake.
            let _pin = platform.pin();
            flight(space.history.announce(request)).flush_here(Remote::NeedsIpi);
            return None;
        }
        platform.publish_tables();
        let generation = space.history.bump();
        // ORDER(SD-4): page-table stores and generation before mask and loaded words; partners: `Cpu::approach` and
        // `Cpu::leave_lazy`, where it is drawn.
        Site::FlushFence.full_fence();
        if P::SECONDARY_TLBS {
            *position = self.post_secondary(Some(space), request);
        }
        let remote = self.broadcast(space, request);
        let pin = platform.pin();
        if remote == Remote::NeedsIpi {
            if let Some(first) = space.members().others(Some(platform.cpu()), 0) {
                return Some((generation, first, pin));
            }
        }
        // A hardware broadcast does not update the members' acknowledged generation. Record the range so that they flush
        // only it when they next compare. A CPU that joins the mask later brings no entries, or needs the range as well.
        if remote == Remote::Done || P::Tags::ENTRIES_SURVIVE_SWITCH {
            space.history.record(generation, request);
        }
        flight(generation).flush_here(remote);
        None
    }

    /// The second half of a flush that waits, out of line, with what it needs in registers.
    #[inline(never)]
    fn signal_and_wait(
        &self,
        space: &AddressSpace<P>,
        request: FlushRequest,
        generation: u64,
        first: CpuSet,
        pin: P::Pin,
    ) {
        let flight = Flight::new(self, Some(space), generation, request);
        let first = space.members().known(first);
        // Record the request before this CPU handles others' requests, or it would find its own missing and flush
        // everything.
        space.history.record(generation, request);
        // From now on, another CPU that flushes need not interrupt this one.
        let poller = IpiPoller::begin(self, &pin);
        if flight.signal(first) {
            flight.wait(Some(first), &poller);
        }
        drop(poller);
        self.trim_now_and_then(space, generation);
    }

    /// The second half of a flush that is waited for later, as above.
    #[inline(never)]
    fn signal_and_keep<'a>(
        &'a self,
        space: &'a AddressSpace<P>,
        request: FlushRequest,
        generation: u64,
        first: CpuSet,
        _pin: P::Pin,
        position: u64,
    ) -> Pending<'a, P> {
        let flight = Flight::new(self, Some(space), generation, request);
        space.history.record(generation, request);
        let sent = flight.signal_apart(first);
        let of_cpus = (sent || Self::trims(generation)).then_some(flight.and_secondary(position));
        Pending { flight: of_cpus.or_else(|| Flight::of_secondary(self, position)) }
    }

    /// Flushes by other means than IPIs, and says whether that completes the flush. Where there are IPIs, they
    /// synchronise contexts: a broadcast does not.
    #[inline]
    fn broadcast(&self, space: &AddressSpace<P>, request: FlushRequest) -> Remote {
        if P::INTERRUPTS && request.syncs_contexts() {
            return Remote::NeedsIpi;
        }
        let flush = |tag| self.flush_remote(Some(space), tag, request);
        // ORDER(SD-4): after the full fence. Where a CPU is given another tag for this space meanwhile, a fence of its own
        // follows, and its walks see the page tables as they are now; partner: `Rolling::renew`.
        match self.platform().tags().flush_method(space.tags()) {
            FlushMethod::Ipis(tag) => flush(tag),
            FlushMethod::Broadcast(tag) | FlushMethod::Both(tag) if flush(Some(tag)) != Remote::Done => {
                broadcast_refused(tag)
            }
            FlushMethod::Broadcast(_) | FlushMethod::Nobody => Remote::Done,
            FlushMethod::Both(_) => Remote::NeedsIpi,
        }
    }

    #[inline(always)]
    fn flush_remote(
        &self,
        space: Option<&AddressSpace<P>>,
        tag: Option<Tag>,
        request: FlushRequest,
    ) -> Remote {
        let online = self.online_store();
        self.platform().flush_remote(RemoteFlush { space, tag, request, online })
    }

    /// Flushes what `request` covers of kernel memory on every CPU that is on line (Linux: `flush_tlb_kernel_range`).
    /// Waits. A CPU in [user mode](Self::enter_user) flushes when it comes back, if no tables are freed.
    ///
    /// # Panics
    /// If `request` is for contexts and nothing reaches those
    /// ([`Platform::SYNCS_CONTEXTS`](crate::Platform::SYNCS_CONTEXTS)).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// # use shootdown::{CpuId, Platform};
    /// boot(0x1000);
    /// ENGINE.flush_kernel(FlushRequest::pages(page(0xffff_8000_0000_0000)));
    /// assert_eq!(ipis(), 3); // kernel memory has no mask: every CPU on line flushes
    /// let counters = ENGINE.platform().local(CpuId::new(2)).counters();
    /// assert_eq!((counters.ipis_handled(), counters.selective_flushes()), (1, 1));
    /// ```
    pub fn flush_kernel(&self, request: FlushRequest) {
        self.send_kernel(request).finish();
    }

    /// Begins a flush of kernel memory. Never waits.
    ///
    /// # Panics
    /// As [`flush_kernel`](Self::flush_kernel).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// boot(0x1000);
    /// let flush = ENGINE.send_kernel(FlushRequest::all().tables_freed());
    /// flush.finish();
    /// assert_eq!(ipis(), 3);
    /// ```
    pub fn send_kernel(&self, request: FlushRequest) -> Pending<'_, P> {
        let (flight, position, remote, pin) = self.set_out(None, request);
        let first = self.online().others(Some(flight.sender), 0).filter(|_| remote == Remote::NeedsIpi);
        match first {
            Some(first) => _ = flight.signal_apart(first),
            None => flight.flush_here(remote),
        }
        drop(pin);
        // The wait looks at the mask again, also where it was empty.
        let of_cpus = (remote == Remote::NeedsIpi).then_some(flight.and_secondary(position));
        Pending { flight: of_cpus.or_else(|| Flight::of_secondary(self, position)) }
    }
}

impl<P: Platform> Shootdown<P> {
    /// A callback that unwound may have left this CPU between two roots. From here on it has none loaded, and nothing
    /// to acknowledge.
    pub(crate) fn settle_before_wait_for(&self, cpu: CpuId) {
        if UNWINDS && cpu == self.platform().cpu() {
            drop(ThisCpu::enter(self, IrqReason::HandleIpi));
        }
    }
}

/// A CPU that left a space and relies on broadcasts would use stale entries when it comes back. Stop before that
/// (SD-8).
#[cold]
fn broadcast_refused(tag: Tag) -> ! {
    panic!("tag {} rests on broadcasts, and the platform did not finish one", tag.number());
}

/// A flush in flight: announced under a generation, and waited for by the thread that has this.
struct Flight<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    /// Nothing for kernel memory.
    space: Option<&'a AddressSpace<P>>,
    /// 0 where it concerns secondary TLBs alone.
    generation: u64,
    /// What of it goes. In a [`Pending`], where there are secondary TLBs, their position takes the place of the pages,
    /// which no longer matter.
    request: FlushRequest,
    /// The CPU that sends the IPIs, and flushes itself meanwhile. The thread may wait on another.
    sender: CpuId,
}

impl<P: Platform> Clone for Flight<'_, P> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Flight<'_, P> {}

impl<'a, P: Platform> Flight<'a, P> {
    /// A flush that this CPU sends. The thread stays on it until it has flushed here.
    #[inline]
    fn new(
        engine: &'a Shootdown<P>,
        space: Option<&'a AddressSpace<P>>,
        generation: u64,
        request: FlushRequest,
    ) -> Self {
        Self { engine, space, generation, request, sender: engine.platform().cpu() }
    }

    /// The CPUs that the flush may concern: the space's mask, or the CPUs on line.
    #[inline]
    fn members(self) -> Members<'a, P::Mask> {
        self.space.map_or(self.engine.online(), AddressSpace::members)
    }

    /// Sends IPIs to members, and flushes this CPU. Says whether an IPI was sent; otherwise there is nothing to wait
    /// for.
    #[inline]
    fn signal(self, first: CpuSet) -> bool {
        let mut sent = false;
        let mut next = Some(first);
        while let Some(batch) = next {
            if P::MULTICAST {
                sent |= self.signal_at_once(batch);
            } else {
                for cpu in batch {
                    if self.must_signal(cpu) {
                        sent = true;
                        self.engine.request_ipi(cpu);
                    } else {
                        self.engine.platform().local(self.sender).own.counters.avoided.bump();
                    }
                }
            }
            next = self.members().others_after(Some(self.sender), batch);
        }
        self.flush_here(Remote::NeedsIpi);
        sent
    }

    /// The same, once for all flushes that nobody waits for at once.
    #[inline(never)]
    fn signal_apart(self, first: CpuSet) -> bool {
        self.signal(first)
    }

    /// Posts a request to each CPU of a batch that must be signalled, then interrupts those that need it, all at once.
    #[inline]
    fn signal_at_once(self, batch: CpuSet) -> bool {
        let mut sent = false;
        let interrupted = batch.filtered(|cpu| {
            if !self.must_signal(cpu) {
                self.engine.platform().local(self.sender).own.counters.avoided.bump();
                return false;
            }
            sent = true;
            self.engine.post_request(cpu)
        });
        self.engine.interrupt(interrupted);
        sent
    }

    /// Whether `cpu` must be sent an IPI. It need not be if the platform has it flush on entry. A flush of a space
    /// sends one if the CPU must acknowledge; a CPU that need not reads the generation before it uses the space again.
    /// A flush of kernel memory sends one to every CPU except those in user mode, which read the generation when they
    /// come back. A virtual CPU that does not run and is not flushed on entry handles the IPI when it runs again.
    #[inline]
    fn must_signal(self, cpu: CpuId) -> bool {
        let is_behind = match self.space {
            Some(_) => self.must_ack(cpu),
            None => !P::USER_MODE || self.awaited().is_behind_in_kernel(self.engine, cpu),
        };
        let id = || self.space.map(AddressSpace::id);
        let on_entry = || self.engine.platform().flush_on_entry(cpu, id(), self.request);
        is_behind && !(P::FLUSHES_ON_ENTRY && on_entry())
    }

    /// The initiator's own part of a flush. If this CPU lacks only that flush, it need not look at the history. If a
    /// later flush was announced meanwhile, its initiator finds the acknowledged generation too old and sends an IPI.
    /// Where a broadcast has flushed this CPU too, it acknowledges alone.
    #[inline]
    fn flush_here(self, remote: Remote) {
        let this_cpu = ThisCpu::enter(self.engine, IrqReason::LocalFlush);
        this_cpu.local.own.counters.flushes.bump();
        let (id, generation) = (self.space.map(AddressSpace::id), self.generation);
        self.engine.platform().event(Event::Announced(id, Generation(generation)));
        let Some(space) = self.space else { return this_cpu.catch_up_kernel() };
        if this_cpu.loaded().address() != space.address() {
            return;
        }
        // ORDER: relaxed, as only this CPU writes it.
        let caught = this_cpu.local.published.caught.load(Ordering::Relaxed);
        let done = remote == Remote::Done;
        if caught + 1 != generation || (P::Tags::CAN_REASSIGN && !done) {
            this_cpu.catch_up(space);
            return;
        }
        if !done {
            this_cpu.flush_loaded(self.request);
        }
        this_cpu.acknowledge(space, generation);
    }

    /// Waits until no member may use an older translation: those of `first`, and of the words behind as they are by
    /// now. A CPU that joined since the flush was announced has read the generation, and one that left has nothing
    /// loaded, or is off line.
    #[inline]
    fn wait(self, first: Option<CpuSet>, poller: &IpiPoller<'_, P>) {
        let mut next = first;
        while let Some(batch) = next {
            for cpu in batch {
                if !sync::EAGER || self.must_ack(cpu) {
                    self.wait_for_one(cpu, poller);
                }
            }
            next = self.members().others_after(Some(self.sender), batch);
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_for_one(self, cpu: CpuId, poller: &IpiPoller<'_, P>) {
        self.engine.settle_before_wait_for(cpu);
        if P::FLUSHES_ON_ENTRY {
            if !self.must_ack(cpu) {
                return;
            }
            // It may have been skipped because it did not run, and runs now: it has flushed, but does not acknowledge unless
            // asked. If it was sent an IPI before, that one is pending or the acknowledgement is close.
            let pinned = self.engine.platform().pin();
            self.engine.request_ipi(cpu);
            drop(pinned);
        }
        poller.wait_for(cpu, || !self.must_ack(cpu));
    }

    /// Whether `cpu` may still use a translation older than the generation.
    #[inline]
    fn must_ack(self, cpu: CpuId) -> bool {
        self.awaited().must_ack(self.engine, cpu)
    }

    #[inline]
    fn awaited(self) -> Awaited {
        let address = self.space.map_or(Awaited::KERNEL, AddressSpace::address);
        Awaited { address, generation: self.generation, levels: self.request.levels() }
    }
}

impl<P: Platform> Pending<'_, P> {
    /// Waits until nothing can use the old translations: no CPU, and no device that was told.
    #[inline]
    pub fn finish(self) {}

    /// Leaves the completion to be asked for later ([`Shootdown::is_complete`]). Never waits.
    pub fn detach(self) -> Ticket<P> {
        let ticket = match self.flight {
            Some(flight) => flight.ticket(),
            None => Ticket::complete(),
        };
        core::mem::forget(self);
        ticket
    }
}

impl<P: Platform> Drop for Pending<'_, P> {
    #[inline]
    fn drop(&mut self) {
        let Some(flight) = self.flight else { return };
        if !flight.is_secondary_alone() {
            let pin = flight.engine.platform().pin();
            let first = flight.members().others(Some(flight.sender), 0);
            flight.wait(first, &IpiPoller::begin(flight.engine, &pin));
            if let Some(space) = flight.space {
                flight.engine.trim_now_and_then(space, flight.generation);
            }
        }
        flight.engine.await_secondary(flight.position());
    }
}
