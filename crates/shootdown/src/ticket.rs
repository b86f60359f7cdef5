//! Completion of a flush as a value.
//!
//! # Why a ticket remembers which CPUs have answered
//!
//! A CPU that has another space loaded is done with a flush: it reads the generation before it comes back. Once it
//! begins any switch, its word says only "between two roots", which must count as not done (SD-5). So a check that asks
//! all CPUs each time could say yes and later no. A ticket asks one CPU after the other, and never asks again a CPU
//! that was done:
//!
//! ```text
//!   CPU that looks                 a CPU that was done
//!   loaded: another space          loaded := switching
//!   it is done, for good           full fence
//!   ... never looks again          reads the generation of this flush, or of a later one
//! ```
//! The CPU that announced the flush wrote the generation before its fence, and the ticket reads `loaded` after that
//! fence. If that read did not see the switch, the fence of the switch is the later of the two, so the loads after it
//! see the generation. Explored by `ticket-vs-switch`.

use crate::engine::Shootdown;
use crate::fault::{Rule, Site, without};
use crate::percpu::{IN_USER, Loaded};
use crate::platform::Platform;
use crate::space::AddressSpace;
use crate::sync;
use crate::types::{CpuId, Levels};
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;

/// What a CPU must have done before a flush is complete, or a space out of use.
#[derive(Clone, Copy)]
pub(crate) struct Awaited {
    /// Address of the space, or [`KERNEL`](Self::KERNEL), or [`SECONDARY`](Self::SECONDARY).
    pub(crate) address: u64,
    /// Generation with which the CPU must agree. No generation is enough from [`LEFT`](Self::LEFT) on. The position, for
    /// [`SECONDARY`](Self::SECONDARY).
    pub(crate) generation: u64,
    /// Whether a CPU that is lazy on the space must agree too.
    pub(crate) levels: Levels,
}

impl Awaited {
    /// Stands for kernel memory.
    pub(crate) const KERNEL: u64 = 0;
    /// Stands for secondary TLBs; no space lies there. No CPU is behind.
    pub(crate) const SECONDARY: u64 = 1;
    /// The CPU must have the space no longer loaded, lazy or not. The identity of the space is added: another may lie
    /// where it did, while its ticket is kept.
    pub(crate) const LEFT: u64 = 1 << 63;

    /// What no CPU may have loaded.
    #[inline]
    pub(crate) fn left<P: Platform>(space: &AddressSpace<P>) -> Self {
        Self { address: space.address(), generation: Self::LEFT | space.id().0, levels: Levels::All }
    }

    /// Whether it is a space that is to be left.
    #[inline]
    const fn is_left(self) -> bool {
        self.generation >= Self::LEFT
    }

    /// What secondary TLBs must have done.
    #[inline]
    const fn secondary(position: u64) -> Self {
        Self { address: Self::SECONDARY, generation: position, levels: Levels::Leaf }
    }

    /// Whether `cpu` may still use a translation older than the generation.
    #[inline]
    pub(crate) fn must_ack<P: Platform>(self, engine: &Shootdown<P>, cpu: CpuId) -> bool {
        self.is_behind_anywhere(engine, cpu) && engine.platform().needs_ack(cpu)
    }

    /// The same, whatever the platform answers for `cpu`.
    #[inline]
    fn is_behind_anywhere<P: Platform>(self, engine: &Shootdown<P>, cpu: CpuId) -> bool {
        match self.address {
            Self::KERNEL => self.is_behind_in_kernel(engine, cpu),
            _ => self.is_behind(engine, cpu),
        }
    }

    /// Whether `cpu` may use the space before it has caught up.
    ///
    /// It may not if it has another space loaded or none (it reads the generation when it comes back), if it is lazy
    /// and only leaf entries changed (likewise), or if it has caught up. The word `loaded` is read before `caught`:
    /// what `caught` says belongs to that loading or to a later one, and a later one means that this one has ended.
    #[inline]
    pub(crate) fn is_behind<P: Platform>(self, engine: &Shootdown<P>, cpu: CpuId) -> bool {
        let loaded = engine.loaded_of(cpu);
        if loaded == Loaded::SWITCHING {
            return true;
        }
        if loaded.address() != self.address {
            return false;
        }
        let skip_lazy = self.levels == Levels::Leaf || without(Rule::TablesReachLazy);
        if loaded.is_lazy() && skip_lazy {
            return false;
        }
        // ORDER(SD-8): what that CPU did with old translations is over before their frames are reused; partners:
        // `Cpu::acknowledge`, `Cpu::arrive`.
        let caught = engine.platform().local(cpu).published.caught.load(Site::AckSeen.acquire());
        caught < self.generation
    }

    /// Whether `cpu` may use kernel memory before it has caught up. In user mode it may not (SD-20).
    #[inline]
    pub(crate) fn is_behind_in_kernel<P: Platform>(self, engine: &Shootdown<P>, cpu: CpuId) -> bool {
        // ORDER(SD-8): as in `is_behind`; partners: `Cpu::catch_up_kernel_from`, `Shootdown::enter_user`,
        // `Cpu::unmark_user`.
        let caught = engine.platform().local(cpu).published.kernel_caught.load(Site::KernelAckSeen.acquire());
        // Walkers may read a freed table in user mode too (SD-7).
        let caught = if self.levels == Levels::All { caught & !IN_USER } else { caught };
        caught < self.generation && engine.online().holds(cpu)
    }
}

/// The completion of a flush, to check later. It borrows nothing, and may outlive the space.
///
/// [`Pending::detach`](crate::flush::Pending::detach) makes one, and [`Shootdown::is_complete`] asks it. You can keep
/// it in a queue or move it to another CPU. Dropping it waits for nothing and frees nothing.
///
/// Keep beside it whatever else waits for the flush (a range of kernel addresses, say). For frames, use a
/// [`Retired`](crate::flush::Retired) queue instead.
#[must_use = "old translations may be in use until `is_complete` says that they are not"]
pub struct Ticket<P: Platform> {
    /// Identity of the engine.
    engine: u64,
    awaited: Awaited,
    /// The CPU that has flushed itself when it sent the flush; none for a ticket of [`LEFT`](Awaited::LEFT).
    sender: Option<CpuId>,
    /// CPUs with lower numbers are done.
    next: u32,
    /// Those of [`TOLD`] and [`SECONDARY`] that hold.
    marks: u8,
    platform: PhantomData<fn() -> P>,
}

/// Mark: CPUs were told of the flush; otherwise they find it when they catch up, that of a space also when they switch.
const TOLD: u8 = 1;
/// Mark: secondary TLBs were told, and are waited for once CPUs are done.
const SECONDARY: u8 = 2;

/// The value of `next` once all CPUs are done, and secondary TLBs too.
const ALL: u32 = u32::MAX;
/// The same while secondary TLBs may not be: what is awaited is their position.
const CPUS: u32 = u32::MAX - 1;

/// The ticket is of another engine's flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignTicket;

impl fmt::Display for ForeignTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ticket is that of a flush of another engine; ask the one that sent it")
    }
}

impl core::error::Error for ForeignTicket {}

impl<P: Platform> Ticket<P> {
    /// A ticket that may outlive its space.
    pub(crate) fn lasting(engine: &Shootdown<P>, awaited: Awaited, sender: Option<CpuId>) -> Self {
        if awaited.address != Awaited::KERNEL {
            let last = awaited.generation;
            // ORDER: relaxed; as in `new_space`, since the space is there still (`struct_drop_vs_free`).
            _ = sync::update(&engine.last_ticket.0, Ordering::Relaxed, |seen| (seen < last).then_some(last));
        }
        Self::new(engine, awaited, sender)
    }

    pub(crate) fn new(engine: &Shootdown<P>, awaited: Awaited, sender: Option<CpuId>) -> Self {
        let engine = engine.identity.get_or_take();
        Self { engine, awaited, sender, next: 0, marks: TOLD, platform: PhantomData }
    }

    /// The ticket of a flush that concerned only the CPU that sent it. Every engine takes it.
    pub(crate) fn complete() -> Self {
        let awaited = Awaited { address: Awaited::KERNEL, generation: 0, levels: Levels::Leaf };
        Self { engine: 0, awaited, sender: None, next: ALL, marks: TOLD, platform: PhantomData }
    }

    /// The ticket of a flush that concerned the CPU that sent it, and secondary TLBs up to `position` if that is not 0.
    #[inline(always)]
    pub(crate) fn of_secondary(engine: &Shootdown<P>, position: u64) -> Self {
        if !P::SECONDARY_TLBS || position == 0 {
            return Self::complete();
        }
        let awaited = Awaited::secondary(position);
        Self { next: CPUS, ..Self::new(engine, awaited, None) }.and_secondary(position)
    }

    /// The same ticket, of a flush that secondary TLBs were told of if `position` is not 0.
    #[inline(always)]
    pub(crate) fn and_secondary(self, position: u64) -> Self {
        let secondary = if P::SECONDARY_TLBS && position != 0 { SECONDARY } else { 0 };
        Self { marks: self.marks | secondary, ..self }
    }

    /// The same of a flush that CPUs were not told of.
    pub(crate) fn untold(self) -> Self {
        Self { marks: self.marks & !TOLD, ..self }
    }

    /// Notes that CPUs were told.
    pub(crate) fn note_told(&mut self) {
        self.marks |= TOLD;
    }

    fn was_told(&self) -> bool {
        self.marks & TOLD != 0
    }

    /// Has CPUs told of the flush, if they were not (SD-18).
    #[cold]
    pub(crate) fn tell(&mut self, engine: &Shootdown<P>) {
        if !self.was_told() && !without(Rule::DeferralEnds) {
            engine.tell(&|cpu| self.is_behind(engine, cpu));
            // Not before: where a callback unwinds, CPUs that were not told are told the next time.
            self.note_told();
        }
    }

    /// Whether `cpu` has not carried the flush out, whatever the platform answers for it.
    pub(crate) fn is_behind(&self, engine: &Shootdown<P>, cpu: CpuId) -> bool {
        !(P::SECONDARY_TLBS && self.awaited.address == Awaited::SECONDARY)
            && self.awaited.is_behind_anywhere(engine, cpu)
    }

    /// Whether all CPUs were done when it was asked last, and secondary TLBs.
    pub(crate) fn was_complete(&self) -> bool {
        self.next == ALL
    }

    /// Whether CPUs were done when it was asked last, and secondary TLBs were not.
    fn waits_for_secondary(&self) -> bool {
        P::SECONDARY_TLBS && self.next == CPUS
    }

    /// Whether it is that of `space` being retired.
    pub(crate) fn retires(&self, space: &AddressSpace<P>) -> bool {
        let left = Awaited::left(space);
        (self.awaited.address, self.awaited.generation) == (left.address, left.generation)
    }

    /// Asks the CPUs that were not done at the last call, then secondary TLBs.
    pub(crate) fn poll(&mut self, engine: &Shootdown<P>) -> bool {
        let Some(behind) = self.first_behind(engine) else { return !self.waits_for_secondary() };
        engine.ask_again(self, behind);
        false
    }

    /// The first CPU that is not done, if there is one. Else it asks secondary TLBs, and
    /// [`waits_for_secondary`](Self::waits_for_secondary) is what they say.
    pub(crate) fn first_behind(&mut self, engine: &Shootdown<P>) -> Option<CpuId> {
        if without(Rule::CompletionStays) {
            // The rule removed: each CPU is asked each time.
            self.next = 0;
        }
        if self.awaited.is_left() && without(Rule::TeardownEvicts) {
            return None;
        }
        if P::SECONDARY_TLBS && self.was_complete() {
            // Secondary TLBs are not asked again either.
            return None;
        }
        let mut next = engine.online().others_from(self.sender, self.next / 64);
        while let Some(mut batch) = next {
            let from = self.next;
            let behind = batch.find(|cpu| cpu.number() >= from && self.must_ack(engine, *cpu));
            if let Some(cpu) = behind {
                self.next = cpu.number();
                return Some(cpu);
            }
            next = engine.online().others_after(self.sender, batch);
        }
        self.next = if P::SECONDARY_TLBS && self.is_secondary_late(engine) { CPUS } else { ALL };
        None
    }

    /// Whether secondary TLBs are not done, where CPUs are. What was posted by then is waited for, and nothing later.
    fn is_secondary_late(&mut self, engine: &Shootdown<P>) -> bool {
        if self.marks & SECONDARY == 0 {
            return false;
        }
        if self.awaited.address != Awaited::SECONDARY {
            self.awaited = Awaited::secondary(engine.last_secondary());
        }
        !engine.secondary_is_done(self.awaited.generation)
    }

    /// Whether `cpu` is not done.
    fn must_ack(&self, engine: &Shootdown<P>, cpu: CpuId) -> bool {
        // One that has not left uses the space's memory, whatever the platform answers for its TLB.
        let must_leave = self.awaited.is_left();
        self.is_behind(engine, cpu) && (must_leave || engine.platform().needs_ack(cpu))
    }
}

impl<P: Platform> fmt::Debug for Ticket<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("generation", &self.awaited.generation).finish_non_exhaustive()
    }
}

impl<P: Platform> Shootdown<P> {
    /// Whether the flush is complete: no CPU and no secondary TLB can use the old translations. Once the answer is
    /// `true`, it stays `true`, whatever CPUs do (SD-16). It reads, and never waits; call it in any context,
    /// non-maskable interrupts too.
    ///
    /// Where the platform [answers for CPUs](Platform::FLUSHES_ON_ENTRY) it does one thing more: a CPU that was skipped
    /// and runs again is sent an IPI. Call it with interrupts off or preemption off there.
    ///
    /// # Errors
    /// [`ForeignTicket`], of a flush of another engine that is not known to be complete.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// let user = boot(0x1000);
    /// on(1, || ENGINE.switch_to(&user));
    /// let mut ticket = ENGINE.send(&user, FlushRequest::pages(page(0x4000))).detach();
    /// drop(user); // the ticket borrows nothing
    /// // ... in a timer interrupt, say:
    /// assert_eq!(ENGINE.is_complete(&mut ticket), Ok(true)); // CPU 1 has answered
    /// ```
    pub fn is_complete(&self, ticket: &mut Ticket<P>) -> Result<bool, ForeignTicket> {
        self.must_be_ours(ticket)?;
        Ok(ticket.poll(self))
    }

    /// Waits until the flush is complete. Any thread on any CPU may call it, not only the sender.
    ///
    /// # Errors
    /// [`ForeignTicket`]; nothing was waited for.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// boot(0x1000);
    /// let ticket = ENGINE.send_kernel(FlushRequest::pages(page(0xffff_8000_0000_0000))).detach();
    /// ENGINE.wait(ticket)?; // before the addresses are given to somebody else
    /// # Ok::<(), shootdown::flush::ForeignTicket>(())
    /// ```
    pub fn wait(&self, mut ticket: Ticket<P>) -> Result<(), ForeignTicket> {
        self.must_be_ours(&ticket)?;
        self.wait_until_complete(&mut ticket);
        Ok(())
    }

    /// The same for a ticket that is known to be this engine's. Answers `true`.
    pub(crate) fn wait_until_complete(&self, ticket: &mut Ticket<P>) -> bool {
        ticket.tell(self);
        self.wait_once_told(ticket)
    }

    /// The same of a flush that CPUs were told of.
    pub(crate) fn wait_once_told(&self, ticket: &mut Ticket<P>) -> bool {
        while let Some(behind) = ticket.first_behind(self) {
            self.settle_before_wait_for(behind);
            self.ask_again(ticket, behind);
            self.wait_for(behind, &|| !ticket.must_ack(self, behind));
            ticket.next = behind.number() + 1;
        }
        if ticket.waits_for_secondary() {
            self.wait_for_secondary(ticket.awaited.generation);
            ticket.next = ALL;
        }
        true
    }

    fn must_be_ours(&self, ticket: &Ticket<P>) -> Result<(), ForeignTicket> {
        if ticket.was_complete() || ticket.engine == self.identity.get() {
            Ok(())
        } else {
            Err(ForeignTicket)
        }
    }

    /// A CPU that was skipped because it did not run may run now: it has flushed, and does not acknowledge unless
    /// asked. If it was sent an IPI before, that one is pending or the acknowledgement is close.
    fn ask_again(&self, ticket: &Ticket<P>, cpu: CpuId) {
        if P::FLUSHES_ON_ENTRY && ticket.was_told() {
            let pinned = self.platform().pin();
            self.request_ipi(cpu);
            drop(pinned);
        }
    }
}
