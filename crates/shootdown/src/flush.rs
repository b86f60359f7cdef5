//! Asking every CPU to forget translations, and waiting until it has.

use crate::engine::Shootdown;
use crate::event::Event;
use crate::fault::{Rule, Site, without};
use crate::here::{Cpu, Here};
use crate::percpu::Loaded;
use crate::platform::{Platform, Remote, RemoteFlush, Span};
use crate::space::AddressSpace;
use crate::sync::{self, Waited};
use crate::types::{CpuId, Generation, Scope, Tables};
use core::sync::atomic::Ordering;

/// A flush that was sent and not yet waited for: the old translations may still be in use.
///
/// Waits when dropped, so forgetting it costs time and never safety. Hold no lock over it that a target may need with
/// interrupts off (SD-11).
#[must_use = "old translations may be in use until finish() returns"]
pub struct Pending<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    target: Target<'a, P>,
    generation: u64,
    /// The CPU that sent it, which has flushed already.
    sender: CpuId,
    done: bool,
}

/// Whose CPUs a flush waits for.
enum Target<'a, P: Platform> {
    Space(&'a AddressSpace<P>, Tables),
    Kernel,
}

impl<P: Platform> Shootdown<P> {
    /// Flushes `scope` of `space` on every CPU that may hold translations of it, and returns when none does. Page tables
    /// were changed before; with [`Tables::Freed`] the tables may be reused afterwards. Waits.
    #[inline]
    pub fn flush(&self, space: &AddressSpace<P>, scope: Scope, tables: Tables) {
        self.send(space, scope, tables).finish();
    }

    /// Begins a flush: rings whoever must hear of it and flushes this CPU. Never waits.
    #[inline]
    pub fn send<'a>(&'a self, space: &'a AddressSpace<P>, scope: Scope, tables: Tables) -> Pending<'a, P> {
        if without(Rule::NoCountShortcut) && space.users() == 1 {
            // The rule removed: one user, so nobody else can have it loaded. The seed's mistake.
            return self.send_alone(space, scope, tables);
        }
        self.platform().publish_tables();
        let generation = space.clock.announce(scope, tables);
        // ORDER(SD-4): page-table stores and generation before mask and loaded words; partners: the switch fence and the
        // lazy fence, drawn in `here.rs`.
        Site::FlushFence.full_fence();
        let request = RemoteFlush { space: Some(space), scope, tables };
        let done = self.platform().flush_remote(request) == Remote::Done;
        let pinned = self.platform().pin();
        let me = self.platform().cpu();
        let late = Late { engine: self, space, generation, tables };
        let wait = !done && late.ring_others(me);
        self.flush_here(space, scope, tables, generation, done);
        self.platform().local(me).own.counters.flushes.bump();
        drop(pinned);
        self.platform().event(Event::Announced(Some(space.id()), Generation(generation)));
        Pending { engine: self, target: Target::Space(space, tables), generation, sender: me, done: !wait }
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
        let done = self.platform().flush_remote(RemoteFlush { space: None, scope, tables }) == Remote::Done;
        let here = Here::enter(self, Span::LocalFlush);
        if !done {
            self.online().for_each_other(Some(here.me()), |cpu| self.ring(cpu));
        }
        here.catch_up_kernel();
        here.local.own.counters.flushes.bump();
        self.platform().event(Event::Announced(None, Generation(generation)));
        Pending { engine: self, target: Target::Kernel, generation, sender: here.me(), done }
    }

    /// The initiator's own part of a flush. Where this CPU lacks that flush alone, it need not look at the ring; a later
    /// one that was announced meanwhile finds the acknowledged generation too old, and rings.
    #[inline]
    fn flush_here(&self, space: &AddressSpace<P>, scope: Scope, tables: Tables, generation: u64, done: bool) {
        let here = Here::enter(self, Span::LocalFlush);
        if here.loaded().address() != space.address() {
            return;
        }
        // ORDER: relaxed, as only this CPU writes it.
        if here.local.published.caught.load(Ordering::Relaxed) + 1 != generation {
            here.catch_up(space);
            return;
        }
        if !done {
            here.flush_scope(scope, tables);
        }
        here.acknowledge(space, generation);
    }

    /// What SD-9 forbids: flushes this CPU alone because a count says "one user".
    fn send_alone<'a>(&'a self, space: &'a AddressSpace<P>, scope: Scope, tables: Tables) -> Pending<'a, P> {
        let generation = space.clock.announce(scope, tables);
        let sender = self.platform().cpu();
        self.flush_here(space, scope, tables, generation, false);
        Pending { engine: self, target: Target::Space(space, tables), generation, sender, done: true }
    }

    /// Waits until `ready`, serving this CPU's own doorbell while interrupts are off (SD-11), and telling the platform
    /// when `cpu` is late.
    #[inline]
    pub(crate) fn wait_for(&self, cpu: CpuId, ready: impl Fn() -> bool) {
        let platform = self.platform();
        let poll_bell = !platform.irq_enabled() && !without(Rule::WaitServes);
        let mut polls = 0;
        loop {
            let bell = core::cell::Cell::new(false);
            let outcome = sync::patience(
                &mut polls,
                P::STALL_POLLS,
                || {
                    bell.set(false);
                    ready()
                        || (poll_bell && {
                            bell.set(self.rung_here());
                            bell.get()
                        })
                },
                |polls| platform.relax(polls),
            );
            match outcome {
                Waited::Ready if bell.get() => self.serve_while_waiting(),
                Waited::Ready => return,
                Waited::Late => self.still_late(cpu, polls),
            }
        }
    }

    #[cold]
    fn serve_while_waiting(&self) {
        Cpu::in_handler(self).serve();
    }

    #[cold]
    fn still_late(&self, cpu: CpuId, polls: u64) {
        let platform = self.platform();
        platform.stalled(cpu, polls);
        let pinned = platform.pin();
        platform.local(platform.cpu()).own.counters.stalls.bump();
        drop(pinned);
        // The request stands; only the interrupt may have been lost (SD-14).
        platform.kick(cpu);
    }

    fn rung_here(&self) -> bool {
        let me = self.platform().cpu();
        // ORDER: relaxed; `serve` takes the ring with acquire.
        self.platform().local(me).mail.rung.load(Ordering::Relaxed) != 0
    }
}

/// The CPUs that a flush of a space concerns.
struct Late<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    space: &'a AddressSpace<P>,
    generation: u64,
    tables: Tables,
}

impl<P: Platform> Late<'_, P> {
    /// Rings every member of the mask that must hear of the flush, and says whether there was one. If not, there is
    /// nothing to wait for: a CPU that was not late does not become late, since it reads the generation before it uses
    /// the space again.
    #[inline]
    fn ring_others(&self, me: CpuId) -> bool {
        let here = Cpu::in_handler(self.engine);
        let mut rang = false;
        self.space.members().for_each_other(Some(me), |cpu| {
            if self.is_late(cpu) {
                rang = true;
                self.engine.ring(cpu);
            } else {
                here.local.own.counters.skipped.bump();
            }
        });
        rang
    }

    /// Waits until no member of the mask may use an older translation. The mask is read anew: who joined since has read
    /// the generation, who left has nothing loaded.
    #[inline(never)]
    fn wait_for_others(self, sender: CpuId) {
        let members = self.space.members();
        members.for_each_other(Some(sender), |cpu| self.engine.wait_for(cpu, || !self.is_late(cpu)));
    }

    /// Whether `cpu` may still use a translation older than the generation.
    ///
    /// Not late is a CPU that has another space loaded or none (it reads the generation when it comes back), that is
    /// lazy while only leaves changed (the same), or that has caught up. The word `loaded` is read before `caught`: what
    /// `caught` says belongs to that loading or to a later one, and a later one means that this one has ended.
    #[inline]
    fn is_late(&self, cpu: CpuId) -> bool {
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
            // `Here::acknowledge`, `Here::load`.
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

    fn wait(&self) {
        match self.target {
            Target::Space(space, tables) => {
                let (engine, generation) = (self.engine, self.generation);
                Late { engine, space, generation, tables }.wait_for_others(self.sender);
            }
            Target::Kernel => {
                self.engine.online().for_each_other(Some(self.sender), |cpu| {
                    self.engine.wait_for(cpu, || self.kernel_caught_up(cpu));
                });
            }
        }
    }

    fn kernel_caught_up(&self, cpu: CpuId) -> bool {
        // ORDER(SD-8): as in `Late::is_late`; partner: `Here::catch_up_kernel_from`.
        let caught =
            self.engine.platform().local(cpu).published.kernel_caught.load(Site::KernelAckSeen.acquire());
        caught >= self.generation
            || !self.engine.online().holds(cpu)
            || !self.engine.platform().must_wait(cpu)
    }
}

impl<P: Platform> Drop for Pending<'_, P> {
    #[inline]
    fn drop(&mut self) {
        if !self.done {
            self.wait();
        }
    }
}
