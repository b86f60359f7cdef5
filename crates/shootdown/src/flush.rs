//! Asking every CPU to forget translations, and waiting until it has.

use crate::engine::Shootdown;
use crate::event::Event;
use crate::fault::{Rule, Site, without};
use crate::here::Here;
use crate::mask::Batch;
use crate::percpu::Loaded;
use crate::platform::{Platform, Remote, RemoteFlush, Span};
use crate::space::AddressSpace;
use crate::sync;
use crate::tags::{Reach, TagPolicy};
use crate::types::{CpuId, Generation, Packed, PageRange, Scope, Tables, Tag};
use crate::wait::Listener;
use core::sync::atomic::Ordering;

#[cfg(shootdown_explore)]
mod carried;

/// A flush that was sent and not yet waited for: the old translations may still be in use.
///
/// Waits when dropped, so neglecting it costs time and never safety; what `core::mem::forget` takes is never waited for.
/// Hold no lock over it that a target may need with interrupts off (SD-11).
#[must_use = "old translations may be in use until finish() returns"]
pub struct Pending<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    target: Target<'a, P>,
}

/// Whose CPUs a flush waits for. The CPU that sent it has flushed already.
enum Target<'a, P: Platform> {
    Nobody,
    Space(Late<'a, P>, CpuId),
    Kernel(u64, CpuId),
}

impl<P: Platform> Shootdown<P> {
    /// Flushes `scope` of `space` on every CPU that may hold translations of it, and returns when none does. Page tables
    /// were changed before; with [`Tables::Freed`] the tables may be reused afterwards. Waits, unless this CPU is the only
    /// one in the mask.
    ///
    /// # Panics
    /// If another engine made the space.
    #[inline]
    pub fn flush(&self, space: &AddressSpace<P>, scope: Scope, tables: Tables) {
        self.must_own(space);
        self.flush_own(space, scope, tables);
    }

    /// The same for a space that is known to be this engine's.
    #[inline]
    pub(crate) fn flush_own(&self, space: &AddressSpace<P>, scope: Scope, tables: Tables) {
        if let Some(flush) = self.begin(space, scope, tables) {
            flush.send_and_wait();
        }
    }

    /// Begins a flush: rings whoever must hear of it and flushes this CPU. Never waits.
    ///
    /// # Panics
    /// If another engine made the space.
    #[inline]
    pub fn send<'a>(&'a self, space: &'a AddressSpace<P>, scope: Scope, tables: Tables) -> Pending<'a, P> {
        self.must_own(space);
        self.send_own(space, scope, tables)
    }

    /// The same for a space that is known to be this engine's.
    #[inline]
    pub(crate) fn send_own<'a>(
        &'a self,
        space: &'a AddressSpace<P>,
        scope: Scope,
        tables: Tables,
    ) -> Pending<'a, P> {
        match self.begin(space, scope, tables) {
            Some(flush) => flush.send(),
            None => Pending { engine: self, target: Target::Nobody },
        }
    }

    /// Announces a flush. Where it concerns this CPU alone it is carried out, else what is left to do is returned.
    #[inline]
    fn begin<'a>(
        &'a self,
        space: &'a AddressSpace<P>,
        scope: Scope,
        tables: Tables,
    ) -> Option<Shared<'a, P>> {
        let platform = self.platform();
        if without(Rule::NoCountShortcut) && space.users() == 1 {
            // The rule removed: one user, so nobody else can have it loaded. The seed's mistake.
            let generation = space.clock.announce(scope, tables);
            self.flush_here(space, pages(scope, tables), generation, false);
            return None;
        }
        platform.publish_tables();
        let generation = space.clock.bump();
        // ORDER(SD-4): page-table stores and generation before mask and loaded words; partners: the switch fence and the
        // lazy fence, drawn in `here.rs`.
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
        // Members that a broadcast has reached do not know it, and catch up by the scope when they next look; who joins
        // the mask later brings no entries, or needs the scope as well.
        if done || P::Tags::WARM {
            space.clock.record(generation, Packed::new(scope, tables));
        }
        self.flush_here(space, pages(scope, tables), generation, done);
        None
    }

    /// Flushes by other means than doorbells, and says whether that is all there is to do.
    #[inline]
    fn broadcast(&self, space: &AddressSpace<P>, scope: Scope, tables: Tables) -> bool {
        let flush = |tag| {
            let request = RemoteFlush { space: Some(space), tag, scope, tables };
            self.platform().flush_remote(request) == Remote::Done
        };
        // ORDER(SD-4): after the full fence. Where a CPU is given another tag for this space meanwhile, a fence of its own
        // follows, and its walks see the page tables as they are now; partner: `Rolling::renew`.
        match self.platform().tags().reach(space.tags()) {
            Reach::Doorbells(tag) => flush(tag),
            Reach::Broadcast(tag) | Reach::Both(tag) if !flush(Some(tag)) => broadcast_refused(tag),
            Reach::Broadcast(_) | Reach::Nobody => true,
            Reach::Both(_) => false,
        }
    }

    /// Flushes `scope` of kernel memory on every CPU that is on line, and returns when none holds it. Waits.
    pub fn flush_kernel(&self, scope: Scope, tables: Tables) {
        self.send_kernel(scope, tables).finish();
    }

    /// Begins a flush of kernel memory. Never waits.
    pub fn send_kernel(&self, scope: Scope, tables: Tables) -> Pending<'_, P> {
        self.platform().publish_tables();
        let generation = self.kernel.announce(scope, tables);
        // ORDER(SD-4): page-table stores and generation before the mask of CPUs on line; partner: the fence in
        // `online_cpu`.
        Site::KernelFlushFence.full_fence();
        let done = self.platform().flush_remote(RemoteFlush { space: None, tag: None, scope, tables })
            == Remote::Done;
        let here = Here::enter(self, Span::LocalFlush);
        if !done {
            self.online().for_each_other(Some(here.me()), |cpu| self.ring(cpu));
        }
        here.catch_up_kernel();
        here.local.own.counters.flushes.bump();
        self.platform().event(Event::Announced(None, Generation(generation)));
        let target = if done { Target::Nobody } else { Target::Kernel(generation, here.me()) };
        Pending { engine: self, target }
    }

    /// The initiator's own part of a flush. Where this CPU lacks that flush alone, it need not look at the ring; a later
    /// one that was announced meanwhile finds the acknowledged generation too old, and rings.
    #[inline]
    fn flush_here(
        &self,
        space: &AddressSpace<P>,
        pages: Option<(PageRange, Tables)>,
        generation: u64,
        done: bool,
    ) {
        let here = Here::enter(self, Span::LocalFlush);
        here.local.own.counters.flushes.bump();
        self.platform().event(Event::Announced(Some(space.id()), Generation(generation)));
        if here.loaded().address() != space.address() {
            return;
        }
        // ORDER: relaxed, as only this CPU writes it.
        let caught = here.local.published.caught.load(Ordering::Relaxed);
        if caught + 1 != generation || (P::Tags::MOVES && !done) {
            here.catch_up(space);
            return;
        }
        if !done {
            here.flush_loaded(pages);
        }
        here.acknowledge(space, generation);
    }
}

/// A CPU that has left a space and trusts broadcasts would use stale entries when it comes back: stop before that (SD-8).
#[cold]
fn broadcast_refused(tag: Tag) -> ! {
    panic!("tag {} rests on broadcasts, and the platform did not finish one", tag.number());
}

#[inline]
fn pages(scope: Scope, tables: Tables) -> Option<(PageRange, Tables)> {
    match scope {
        Scope::Pages(range) => Some((range, tables)),
        Scope::All => None,
    }
}

/// A flush that concerns other CPUs too: announced, and nobody told yet.
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
        let late = Late { engine: self, space, generation, tables: request.tables() };
        // Noted before this CPU answers others, or it would find its own request missing and flush everything.
        space.clock.record(generation, request);
        // Who also flushes and rings this CPU from now on need not interrupt it.
        let listener = Listener::begin(self, &pin);
        if let Some(me) = late.ring_and_flush(request, first) {
            late.wait_for_others(me, &listener);
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
        let late = Late { engine: self, space, generation, tables: request.tables() };
        space.clock.record(generation, request);
        let target = match late.ring_and_flush(request, first) {
            Some(me) => Target::Space(late, me),
            None => Target::Nobody,
        };
        drop(pin);
        Pending { engine: self, target }
    }
}

/// The CPUs that a flush of a space concerns.
struct Late<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    space: &'a AddressSpace<P>,
    generation: u64,
    tables: Tables,
}

impl<P: Platform> Clone for Late<'_, P> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Late<'_, P> {}

impl<P: Platform> Late<'_, P> {
    /// Rings every member of the mask that must hear of the flush, and flushes this CPU, which is returned if somebody
    /// was late and was rung. If not, there is nothing to wait for: a CPU that was not late reads the generation before it
    /// uses the space again, and one that the platform answers for flushes before it does.
    #[inline(always)]
    fn ring_and_flush(self, request: Packed, first: Batch) -> Option<CpuId> {
        let Self { engine, space, generation, .. } = self;
        let me = engine.platform().cpu();
        let counters = &engine.platform().local(me).own.counters;
        let mut rang = None;
        let mut next = Some(first);
        while let Some(batch) = next {
            for cpu in batch {
                if self.is_late(cpu) && !(P::DEFERS && engine.platform().defer(cpu)) {
                    rang = Some(me);
                    engine.ring(cpu);
                } else {
                    counters.skipped.bump();
                }
            }
            next = space.members().others_after(Some(me), batch);
        }
        engine.flush_here(space, request.unpack(), generation, false);
        rang
    }

    /// Waits until no member of the mask may use an older translation. The mask is read anew: who joined since has read
    /// the generation, who left has nothing loaded.
    #[inline]
    fn wait_for_others(self, sender: CpuId, listener: &Listener<'_, P>) {
        let mut next = self.space.members().others(Some(sender), 0);
        while let Some(batch) = next {
            for cpu in batch {
                if !sync::EAGER || self.is_late(cpu) {
                    self.wait_for_one(cpu, listener);
                }
            }
            next = self.space.members().others_after(Some(sender), batch);
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_for_one(self, cpu: CpuId, listener: &Listener<'_, P>) {
        if P::DEFERS {
            if !self.is_late(cpu) {
                return;
            }
            // It may have been passed over because it did not run, and runs now: it has flushed, but does not say so
            // unasked. Where it was rung before, its bell is up or its answer is close.
            let pinned = self.engine.platform().pin();
            self.engine.ring(cpu);
            drop(pinned);
        }
        listener.wait_for(cpu, || !self.is_late(cpu));
    }

    /// Whether `cpu` may still use a translation older than the generation.
    ///
    /// Not late is a CPU that has another space loaded or none (it reads the generation when it comes back), that is
    /// lazy while only leaves changed (the same), or that has caught up. The word `loaded` is read before `caught`: what
    /// `caught` says belongs to that loading or to a later one, and a later one means that this one has ended.
    #[inline]
    fn is_late(self, cpu: CpuId) -> bool {
        let loaded = self.engine.loaded_of(cpu);
        if loaded != Loaded::SWITCHING {
            if loaded.address() != self.space.address() {
                return false;
            }
            let skip_lazy = self.tables == Tables::Kept || without(Rule::TablesReachLazy);
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
        self.engine.platform().must_wait(cpu)
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
        // ORDER(SD-8): as in `Late::is_late`; partner: `Cpu::catch_up_kernel_from`.
        let caught =
            self.engine.platform().local(cpu).published.kernel_caught.load(Site::KernelAckSeen.acquire());
        caught >= generation || !self.engine.online().holds(cpu) || !self.engine.platform().must_wait(cpu)
    }
}

impl<P: Platform> Drop for Pending<'_, P> {
    #[inline]
    fn drop(&mut self) {
        match self.target {
            Target::Nobody => {}
            Target::Space(late, sender) => {
                let pin = self.engine.platform().pin();
                late.wait_for_others(sender, &Listener::begin(self.engine, &pin));
            }
            Target::Kernel(generation, sender) => self.wait_for_kernel(generation, sender),
        }
    }
}
