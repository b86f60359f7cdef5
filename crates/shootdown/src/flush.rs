//! Flush requests, the wait for them, and gathers (Linux: `flush_tlb_mm_range`, `mmu_gather`).

use crate::engine::Shootdown;
use crate::event::Event;
use crate::fault::{Rule, Site, without};
use crate::mask::Batch;
use crate::percpu::Loaded;
use crate::platform::{IrqReason, Platform};
use crate::space::AddressSpace;
use crate::sync;
use crate::tags::{FlushMethod, TagPolicy};
use crate::this_cpu::ThisCpu;
use crate::types::{CpuId, Packed, Tag};
use crate::wait::IpiPoller;
use core::sync::atomic::Ordering;

#[cfg(shootdown_explore)]
pub use crate::gather::Parts;
pub use crate::gather::{Full, Gather, PendingFrames};
pub use crate::platform::{LocalFlush, Remote, RemoteFlush};
pub use crate::types::{Generation, PageRange, PageSize, PageTables, RangeError, Scope, VirtAddr};

#[cfg(shootdown_explore)]
mod carried;

/// A flush that was sent and not yet waited for: the old translations may still be in use.
///
/// Waits when dropped, so neglecting it costs time and never safety; what `core::mem::forget` takes is never waited for.
/// Hold no lock over it that a target may need with interrupts off (SD-11).
///
/// # Examples
/// ```compile_fail,E0382
/// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
/// # use machine::*;
/// # use shootdown::flush::{PageTables, Scope};
/// let user = boot(0x1000);
/// let flush = ENGINE.send(&user, Scope::All, PageTables::Kept);
/// flush.finish();
/// flush.finish(); // it was moved
/// ```
#[must_use = "old translations may be in use until finish() returns"]
pub struct Pending<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    target: WaitsFor<'a, P>,
}

/// Whose CPUs a flush waits for. The CPU that sent it has flushed already.
enum WaitsFor<'a, P: Platform> {
    Nobody,
    Space(Targets<'a, P>, CpuId),
    Kernel(u64, CpuId),
}

impl<P: Platform> Shootdown<P> {
    /// Flushes `scope` of `space` on every CPU that may hold translations of it (Linux: `flush_tlb_mm_range`), and
    /// returns when none does. Page tables were changed before; with [`PageTables::Freed`] the tables may be reused
    /// afterwards. Waits, unless this CPU is the only one in the mask.
    ///
    /// # Panics
    /// If another engine made the space.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::{PageTables, Scope};
    /// let user = boot(0x1000);
    /// map(&user, 0x4000, 7);
    /// (0..2).for_each(|cpu| on(cpu, || ENGINE.switch_to(&user)));
    /// assert_eq!(on(1, || load(0x4000)), Some(7));
    ///
    /// unmap(&user, 0x4000);
    /// assert_eq!(on(1, || load(0x4000)), Some(7)); // CPU 1's TLB still has it
    /// ENGINE.flush(&user, Scope::Pages(page(0x4000)), PageTables::Kept);
    /// assert_eq!(on(1, || load(0x4000)), None);
    /// assert_eq!(ipis(), 1); // to CPU 1 alone
    /// ```
    #[inline]
    pub fn flush(&self, space: &AddressSpace<P>, scope: Scope, tables: PageTables) {
        self.must_own(space);
        self.flush_own(space, scope, tables);
    }

    /// The same for a space that is known to be this engine's.
    #[inline]
    pub(crate) fn flush_own(&self, space: &AddressSpace<P>, scope: Scope, tables: PageTables) {
        if let Some(flush) = self.begin(space, scope, tables) {
            flush.send_and_wait();
        }
    }

    /// Begins a flush: sends the IPIs it needs and flushes this CPU. Never waits.
    ///
    /// # Panics
    /// If another engine made the space.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::{PageTables, Scope};
    /// let user = boot(0x1000);
    /// on(1, || ENGINE.switch_to(&user));
    /// let flush = ENGINE.send(&user, Scope::Pages(page(0x4000)), PageTables::Kept);
    /// // ... other work, while CPU 1 flushes ...
    /// flush.finish();
    /// assert_eq!(ipis(), 1);
    /// ```
    #[inline]
    pub fn send<'a>(
        &'a self,
        space: &'a AddressSpace<P>,
        scope: Scope,
        tables: PageTables,
    ) -> Pending<'a, P> {
        self.must_own(space);
        self.send_own(space, scope, tables)
    }

    /// The same for a space that is known to be this engine's.
    #[inline]
    pub(crate) fn send_own<'a>(
        &'a self,
        space: &'a AddressSpace<P>,
        scope: Scope,
        tables: PageTables,
    ) -> Pending<'a, P> {
        match self.begin(space, scope, tables) {
            Some(flush) => flush.send(),
            None => Pending { engine: self, target: WaitsFor::Nobody },
        }
    }

    /// Announces a flush. Carries it out if it concerns this CPU alone; otherwise returns what is left to do.
    #[inline]
    fn begin<'a>(
        &'a self,
        space: &'a AddressSpace<P>,
        scope: Scope,
        tables: PageTables,
    ) -> Option<Shared<'a, P>> {
        let platform = self.platform();
        if without(Rule::NoCountShortcut) && space.users() == 1 {
            // The rule removed: one user, so nobody else can have it loaded. The seed's mistake.
            let generation = space.history.announce(scope, tables);
            self.flush_here(space, pages(scope, tables), generation, false);
            return None;
        }
        platform.publish_tables();
        let generation = space.history.bump();
        // ORDER(SD-4): page-table stores and generation before mask and loaded words; partners: the switch fence and the
        // lazy fence, drawn in `this_cpu.rs`.
        Site::FlushFence.full_fence();
        let done = self.broadcast(space, scope, tables);
        let pin = platform.pin();
        let me = platform.cpu();
        if !done {
            if let Some(first) = space.members().others(Some(me), 0) {
                let request = Packed::new(scope, tables);
                return Some(Shared { engine: self, space, generation, request, first, pin });
            }
        }
        // A hardware broadcast does not update the members' acknowledged generation. Record the range so that they flush
        // only it when they next compare. A CPU that joins the mask later brings no entries, or needs the range as well.
        if done || P::Tags::ENTRIES_SURVIVE_SWITCH {
            space.history.record(generation, Packed::new(scope, tables));
        }
        self.flush_here(space, pages(scope, tables), generation, done);
        None
    }

    /// Flushes by other means than IPIs, and says whether that is all there is to do.
    #[inline]
    fn broadcast(&self, space: &AddressSpace<P>, scope: Scope, tables: PageTables) -> bool {
        let flush = |tag| {
            let request = RemoteFlush { space: Some(space), tag, scope, tables };
            self.platform().flush_remote(request) == Remote::Done
        };
        // ORDER(SD-4): after the full fence. Where a CPU is given another tag for this space meanwhile, a fence of its own
        // follows, and its walks see the page tables as they are now; partner: `Rolling::renew`.
        match self.platform().tags().flush_method(space.tags()) {
            FlushMethod::Ipis(tag) => flush(tag),
            FlushMethod::Broadcast(tag) | FlushMethod::Both(tag) if !flush(Some(tag)) => {
                broadcast_refused(tag)
            }
            FlushMethod::Broadcast(_) | FlushMethod::Nobody => true,
            FlushMethod::Both(_) => false,
        }
    }

    /// Flushes `scope` of kernel memory on every CPU that is on line (Linux: `flush_tlb_kernel_range`). Waits.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::{PageTables, Scope};
    /// # use shootdown::{CpuId, Platform};
    /// boot(0x1000);
    /// ENGINE.flush_kernel(Scope::Pages(page(0xffff_8000_0000_0000)), PageTables::Kept);
    /// assert_eq!(ipis(), 3); // kernel memory has no mask: every CPU on line flushes
    /// let counters = ENGINE.platform().local(CpuId::new(2)).counters();
    /// assert_eq!((counters.ipis_handled(), counters.selective_flushes()), (1, 1));
    /// ```
    pub fn flush_kernel(&self, scope: Scope, tables: PageTables) {
        self.send_kernel(scope, tables).finish();
    }

    /// Begins a flush of kernel memory. Never waits.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::{PageTables, Scope};
    /// boot(0x1000);
    /// let flush = ENGINE.send_kernel(Scope::All, PageTables::Freed);
    /// flush.finish();
    /// assert_eq!(ipis(), 3);
    /// ```
    pub fn send_kernel(&self, scope: Scope, tables: PageTables) -> Pending<'_, P> {
        self.platform().publish_tables();
        let generation = self.kernel.announce(scope, tables);
        // ORDER(SD-4): page-table stores and generation before the mask of CPUs on line; partner: the fence in
        // `online_cpu`.
        Site::KernelFlushFence.full_fence();
        let done = self.platform().flush_remote(RemoteFlush { space: None, tag: None, scope, tables })
            == Remote::Done;
        let this_cpu = ThisCpu::enter(self, IrqReason::LocalFlush);
        if !done {
            self.online().for_each_other(Some(this_cpu.me()), |cpu| self.request_ipi(cpu));
        }
        this_cpu.catch_up_kernel();
        this_cpu.local.own.counters.flushes.bump();
        self.platform().event(Event::Announced(None, Generation(generation)));
        let target = if done { WaitsFor::Nobody } else { WaitsFor::Kernel(generation, this_cpu.me()) };
        Pending { engine: self, target }
    }

    /// The initiator's own part of a flush. If this CPU lacks only that flush, it need not look at the history. If a later
    /// flush was announced meanwhile, its initiator finds the acknowledged generation too old and sends an IPI.
    #[inline]
    fn flush_here(
        &self,
        space: &AddressSpace<P>,
        pages: Option<(PageRange, PageTables)>,
        generation: u64,
        done: bool,
    ) {
        let this_cpu = ThisCpu::enter(self, IrqReason::LocalFlush);
        this_cpu.local.own.counters.flushes.bump();
        self.platform().event(Event::Announced(Some(space.id()), Generation(generation)));
        if this_cpu.loaded().address() != space.address() {
            return;
        }
        // ORDER: relaxed, as only this CPU writes it.
        let caught = this_cpu.local.published.caught.load(Ordering::Relaxed);
        if caught + 1 != generation || (P::Tags::CAN_REASSIGN && !done) {
            this_cpu.catch_up(space);
            return;
        }
        if !done {
            this_cpu.flush_loaded(pages);
        }
        this_cpu.acknowledge(space, generation);
    }
}

/// A CPU that left a space and relies on broadcasts would use stale entries when it comes back. Stop before that (SD-8).
#[cold]
fn broadcast_refused(tag: Tag) -> ! {
    panic!("tag {} rests on broadcasts, and the platform did not finish one", tag.number());
}

#[inline]
fn pages(scope: Scope, tables: PageTables) -> Option<(PageRange, PageTables)> {
    match scope {
        Scope::Pages(range) => Some((range, tables)),
        Scope::All => None,
    }
}

/// A flush that concerns other CPUs too: announced, with no IPI sent yet.
struct Shared<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    space: &'a AddressSpace<P>,
    generation: u64,
    request: Packed,
    /// The first members of the mask besides this CPU.
    first: Batch,
    pin: P::Pin,
}

impl<'a, P: Platform> Shared<'a, P> {
    #[inline]
    fn send_and_wait(self) {
        let Self { engine, space, generation, request, first, pin } = self;
        engine.send_and_wait(space, generation, request, first, pin);
    }

    #[inline]
    fn send(self) -> Pending<'a, P> {
        let Self { engine, space, generation, request, first, pin } = self;
        engine.send_shared(space, generation, request, first, pin)
    }
}

/// The other half of a flush, out of line, with what it needs in registers.
impl<P: Platform> Shootdown<P> {
    #[inline(never)]
    fn send_and_wait(
        &self,
        space: &AddressSpace<P>,
        generation: u64,
        request: Packed,
        first: Batch,
        pin: P::Pin,
    ) {
        let targets = Targets { engine: self, space, generation, tables: request.tables() };
        // Record the request before this CPU handles others' requests, or it would find its own missing and flush
        // everything.
        space.history.record(generation, request);
        // From now on, another CPU that flushes need not interrupt this one.
        let poller = IpiPoller::begin(self, &pin);
        if let Some(me) = targets.send_and_flush(request, first) {
            targets.wait_for_others(me, &poller);
        }
    }

    #[inline(never)]
    fn send_shared<'a>(
        &'a self,
        space: &'a AddressSpace<P>,
        generation: u64,
        request: Packed,
        first: Batch,
        pin: P::Pin,
    ) -> Pending<'a, P> {
        let targets = Targets { engine: self, space, generation, tables: request.tables() };
        space.history.record(generation, request);
        let target = match targets.send_and_flush(request, first) {
            Some(me) => WaitsFor::Space(targets, me),
            None => WaitsFor::Nobody,
        };
        drop(pin);
        Pending { engine: self, target }
    }
}

/// The CPUs that a flush of a space concerns.
struct Targets<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    space: &'a AddressSpace<P>,
    generation: u64,
    tables: PageTables,
}

impl<P: Platform> Clone for Targets<'_, P> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Targets<'_, P> {}

impl<P: Platform> Targets<'_, P> {
    /// Sends an IPI to every member of the mask that must acknowledge, and flushes this CPU. Returns this CPU if an IPI was
    /// sent. Otherwise there is nothing to wait for: a CPU that need not acknowledge reads the generation before it uses the
    /// space again, and one for which the platform answers flushes before it does.
    #[inline(always)]
    fn send_and_flush(self, request: Packed, first: Batch) -> Option<CpuId> {
        let Self { engine, space, generation, .. } = self;
        let me = engine.platform().cpu();
        let counters = &engine.platform().local(me).own.counters;
        let mut sent = None;
        let mut next = Some(first);
        while let Some(batch) = next {
            for cpu in batch {
                if self.must_ack(cpu) && !(P::FLUSHES_ON_ENTRY && engine.platform().flush_on_entry(cpu)) {
                    sent = Some(me);
                    engine.request_ipi(cpu);
                } else {
                    counters.avoided.bump();
                }
            }
            next = space.members().others_after(Some(me), batch);
        }
        engine.flush_here(space, request.unpack(), generation, false);
        sent
    }

    /// Waits until no member of the mask may use an older translation. Reads the mask again: a CPU that joined since has
    /// read the generation, and one that left has nothing loaded.
    #[inline]
    fn wait_for_others(self, sender: CpuId, poller: &IpiPoller<'_, P>) {
        let mut next = self.space.members().others(Some(sender), 0);
        while let Some(batch) = next {
            for cpu in batch {
                if !sync::EAGER || self.must_ack(cpu) {
                    self.wait_for_one(cpu, poller);
                }
            }
            next = self.space.members().others_after(Some(sender), batch);
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_for_one(self, cpu: CpuId, poller: &IpiPoller<'_, P>) {
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
    ///
    /// A CPU need not acknowledge if it has another space loaded or none (it reads the generation when it comes back), if it
    /// is lazy and only leaf entries changed (likewise), or if it has caught up. The word `loaded` is read before `caught`:
    /// what `caught` says belongs to that loading or to a later one, and a later one means that this one has ended.
    #[inline]
    fn must_ack(self, cpu: CpuId) -> bool {
        let loaded = self.engine.loaded_of(cpu);
        if loaded != Loaded::SWITCHING {
            if loaded.address() != self.space.address() {
                return false;
            }
            let skip_lazy = self.tables == PageTables::Kept || without(Rule::TablesReachLazy);
            if loaded.is_lazy() && skip_lazy {
                return false;
            }
            // ORDER(SD-8): what that CPU did with old translations is over before their frames are reused; partners:
            // `Cpu::acknowledge`, `Cpu::arrive`.
            let caught = self.engine.platform().local(cpu).published.caught.load(Site::AckSeen.acquire());
            if caught >= self.generation {
                return false;
            }
        }
        self.engine.platform().needs_ack(cpu)
    }
}

impl<P: Platform> Pending<'_, P> {
    /// Waits until no CPU can use the old translations.
    #[inline]
    pub fn finish(self) {}

    fn wait_for_kernel(&self, generation: u64, sender: CpuId) {
        self.engine.online().for_each_other(Some(sender), |cpu| {
            self.engine.wait_for(cpu, &|| self.kernel_caught_up(cpu, generation));
        });
    }

    fn kernel_caught_up(&self, cpu: CpuId, generation: u64) -> bool {
        // ORDER(SD-8): as in `Targets::must_ack`; partner: `Cpu::catch_up_kernel_from`.
        let caught =
            self.engine.platform().local(cpu).published.kernel_caught.load(Site::KernelAckSeen.acquire());
        caught >= generation || !self.engine.online().holds(cpu) || !self.engine.platform().needs_ack(cpu)
    }
}

impl<P: Platform> Drop for Pending<'_, P> {
    #[inline]
    fn drop(&mut self) {
        match self.target {
            WaitsFor::Nobody => {}
            WaitsFor::Space(targets, sender) => {
                let pin = self.engine.platform().pin();
                targets.wait_for_others(sender, &IpiPoller::begin(self.engine, &pin));
            }
            WaitsFor::Kernel(generation, sender) => self.wait_for_kernel(generation, sender),
        }
    }
}
