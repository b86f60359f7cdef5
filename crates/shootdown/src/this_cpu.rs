//! What a CPU does to itself with interrupts off.

use crate::engine::Shootdown;
use crate::event::Event;
use crate::fault::{Rule, Site, without};
use crate::history::{FlushHistory, Plan};
use crate::hw;
use crate::percpu::{CpuLocal, IN_USER, IpiState, Loaded, Mode};
use crate::platform::{IrqReason, LocalFlush, OnInstall, OnLeave, Platform};
use crate::space::AddressSpace;
use crate::tags::{Assignment, Residue, TagCpu, TagPolicy};
use crate::types::{CpuId, FlushRequest, Generation, Tag};
use crate::unwind::{Changing, Off, Unanswered};
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

/// The calling CPU, for as long as interrupts stay off.
pub(crate) struct ThisCpu<'a, P: Platform> {
    cpu: Cpu<'a, P>,
    were_on: bool,
}

/// The calling CPU while interrupts are off. It is passed by value in two registers, so it does not hold its number.
pub(crate) struct Cpu<'a, P: Platform> {
    pub(crate) engine: &'a Shootdown<P>,
    pub(crate) local: &'a CpuLocal,
}

/// What a CPU that is between two roots has found out.
struct Approach<'a, P: Platform> {
    me: CpuId,
    previous: Option<&'a AddressSpace<P>>,
    now: u64,
    assignment: Assignment,
}

/// A space on its way into a CPU.
pub(crate) struct Arrival<'a, P: Platform> {
    me: CpuId,
    next: &'a AddressSpace<P>,
    /// Not a reference: an [`Entry`](crate::coherence::Entry) has it, and safe code that calls the engine meanwhile may
    /// end this space.
    previous: Option<NonNull<AddressSpace<P>>>,
    pub(crate) tag: Tag,
    /// Generation with which what is loaded agrees.
    now: u64,
}

impl<P: Platform> Clone for Arrival<'_, P> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Arrival<'_, P> {}

impl<P: Platform> Clone for Cpu<'_, P> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Cpu<'_, P> {}

impl<P: Platform> Drop for ThisCpu<'_, P> {
    #[inline]
    fn drop(&mut self) {
        self.cpu.engine.platform().irq_restore(self.were_on);
    }
}

impl<'a, P: Platform> Deref for ThisCpu<'a, P> {
    type Target = Cpu<'a, P>;
    #[inline]
    fn deref(&self) -> &Cpu<'a, P> {
        &self.cpu
    }
}

impl<'a, P: Platform> ThisCpu<'a, P> {
    /// What [`resume`](Self::resume) makes it from again. Interrupts stay off; says whether they were on.
    #[inline]
    pub(crate) fn suspend(self) -> (Cpu<'a, P>, bool) {
        let parts = (self.cpu, self.were_on);
        core::mem::forget(self);
        parts
    }

    /// Undoes [`suspend`](Self::suspend).
    #[inline]
    pub(crate) fn resume(cpu: Cpu<'a, P>, were_on: bool) -> Self {
        Self { cpu, were_on }
    }

    /// Turns interrupts off until the value is dropped. A CPU that a callback left between two roots has no root from
    /// here on.
    #[inline]
    pub(crate) fn enter(engine: &'a Shootdown<P>, reason: IrqReason) -> Self {
        let off = Off { engine, were_on: engine.platform().irq_save(reason) };
        let cpu = Cpu::in_handler(engine);
        let this_cpu = Self { cpu, were_on: off.were_on };
        core::mem::forget(off);
        this_cpu.settle();
        this_cpu
    }
}

impl<'a, P: Platform> Cpu<'a, P> {
    /// The calling CPU where interrupts are off already.
    #[inline]
    pub(crate) fn in_handler(engine: &'a Shootdown<P>) -> Self {
        Self { engine, local: engine.platform().local(engine.platform().cpu()) }
    }

    /// Number of this CPU.
    #[inline]
    pub(crate) fn me(self) -> CpuId {
        self.engine.platform().cpu()
    }

    /// What this CPU has loaded.
    #[inline]
    pub(crate) fn loaded(self) -> Loaded {
        // ORDER: relaxed, as only this CPU writes it.
        Loaded(self.local.published.loaded.load(Ordering::Relaxed))
    }

    /// The same as [`switch_to`](Self::switch_to), for rare callers, which share one copy of its code.
    #[inline(never)]
    pub(crate) fn switch_to_rarely(self, next: &AddressSpace<P>) {
        self.switch_to(next);
    }

    /// Makes `next` the space that user code on this CPU runs in.
    #[inline]
    pub(crate) fn switch_to(self, next: &AddressSpace<P>) {
        let loaded = self.loaded();
        match loaded.how(next.address()) {
            Some(Mode::Active) => {}
            Some(Mode::Lazy) => self.leave_lazy(next),
            None => self.load(next, loaded),
        }
    }

    /// Returns to the space that this lazy CPU still has loaded.
    ///
    /// ```text
    ///   this CPU                     initiator of a flush
    ///   loaded := active             generation += 1
    ///   full fence                   full fence
    ///   reads generation             reads loaded
    /// ```
    /// So this CPU sees the generation and catches up, or the initiator sees it active and sends an IPI, or both.
    /// Explored by `lazy-return` (and loom, `lazy_return_vs_flush`).
    #[inline]
    pub(crate) fn leave_lazy(self, space: &AddressSpace<P>) {
        let changing = Changing(self.local);
        // ORDER(SD-8): an initiator that reads this word takes what came before it as seen: the last use of the space that
        // this CPU had loaded earlier, and the generation that `arrive` stored for this one. A relaxed store would end the
        // release sequence that `publish_loaded` and `enter_lazy` head; partner: `Shootdown::loaded_of`. The fence below
        // orders it before the generation is read (SD-5).
        self.local.published.loaded.store(Loaded::active(space.address()).0, Site::LeaveLazy.release());
        // ORDER(SD-5): see the drawing; partners: the flush fences in `Shootdown::begin` and `Shootdown::set_out`.
        Site::LeaveLazyFence.full_fence();
        if !without(Rule::SwitchIn) {
            self.catch_up(space);
        }
        core::mem::forget(changing);
        self.engine.platform().event(Event::Switched(space.id()));
    }

    /// Loads `next` in place of `previous`, which is what `loaded` says.
    ///
    /// ```text
    ///   this CPU                     initiator of a flush of `next`
    ///   loaded := switching          page tables change; generation += 1
    ///   mask of next += me           full fence
    ///   full fence                   reads mask, then loaded
    ///   reads generation
    ///   installs the root
    /// ```
    /// So this CPU sees the generation and installs with what it must flush, or the initiator sees the bit and
    /// "switching" and sends an IPI, or both. Explored by `switch-vs-flush`.
    #[inline(never)]
    fn load(self, next: &AddressSpace<P>, loaded: Loaded) {
        self.engine.must_own(next);
        self.must_be_on_line(loaded);
        let platform = self.engine.platform();
        let Approach { me, previous, now, assignment: Assignment { tag, residue } } =
            self.approach(next, loaded);
        // Made where it is needed, so that it stays in registers where nothing is called.
        let arrival = || Arrival { me, next, previous: previous.map(NonNull::from), tag, now };
        match residue {
            Residue::UpTo(caught) if caught != now && !without(Rule::SwitchIn) => {
                self.load_stale(arrival(), caught)
            }
            Residue::AllOthers => self.load_after_rollover(arrival()),
            Residue::Others if tag == Tag::NONE || !without(Rule::TagReuseFlushes) => {
                self.install_flushed(next, tag);
                self.arrive(arrival());
            }
            Residue::UpTo(_) | Residue::Current | Residue::Others => {
                hw::install(platform, Some(next), tag, OnInstall::Keep);
                self.arrive(arrival());
            }
        }
    }

    /// Everything of a load up to the root: says that this CPU is between two, joins the mask of `next`, reads its
    /// generation, and picks a tag.
    #[inline(always)]
    fn approach<'s>(self, next: &'s AddressSpace<P>, loaded: Loaded) -> Approach<'s, P> {
        let previous = hw::space_of(loaded);
        // ORDER(SD-5): relaxed; the fence orders it before the generation is read (`switch_in_vs_flush`).
        self.local.published.loaded.store(Loaded::SWITCHING.0, Ordering::Relaxed);
        let (me, members) = (self.me(), next.members());
        let add = !members.leave_joiners_out() && !members.contains(me);
        if add && !without(Rule::SelfAdd) {
            members.add_self(me);
        }
        // ORDER(SD-2, SD-5): see the drawing; partners: the flush fences in `Shootdown::begin` and `Shootdown::set_out`.
        Site::SwitchFence.full_fence();
        let now = next.history.now();
        if let Some(previous) = previous {
            self.save(me, previous);
            if without(Rule::SelfRemove) {
                // The rule removed: the bit goes while the hardware still uses the root.
                previous.members().remove_self(me);
            }
        }
        let platform = self.engine.platform();
        if P::Tags::NEEDS_NULL_ROOT && previous.is_some() {
            hw::install(platform, None, Tag::NONE, OnInstall::Keep);
        }
        let assignment = platform.tags().assign(self.tags(me), next.tag_space());
        Approach { me, previous, now, assignment }
    }

    /// [`load`](Self::load) up to the root, which the embedder loads: what [`arrive`](Self::arrive) then needs, and what
    /// is to be flushed with the root.
    #[inline]
    pub(crate) fn approach_root<'s>(
        self,
        next: &'s AddressSpace<P>,
        loaded: Loaded,
    ) -> (Arrival<'s, P>, OnInstall) {
        let (now, tag, how) = self.approach_apart(next, loaded);
        let previous = hw::space_of(loaded).map(NonNull::from);
        (Arrival { me: self.me(), next, previous, tag, now }, how)
    }

    /// The long part of it, out of line, whose answer fits into two registers.
    #[inline(never)]
    fn approach_apart(self, next: &AddressSpace<P>, loaded: Loaded) -> (u64, Tag, OnInstall) {
        let Approach { me, previous, now, assignment: Assignment { tag, residue } } =
            self.approach(next, loaded);
        let flush = match residue {
            Residue::UpTo(caught) => caught != now && !without(Rule::SwitchIn),
            Residue::Others => tag == Tag::NONE || !without(Rule::TagReuseFlushes),
            Residue::AllOthers => {
                self.roll_over(Arrival { me, next, previous: previous.map(NonNull::from), tag, now });
                false
            }
            Residue::Current => false,
        };
        if !flush {
            return (now, tag, OnInstall::Keep);
        }
        self.local.own.counters.full.bump();
        (now, tag, OnInstall::Flush)
    }

    /// Loads a space of whose entries under its tag those since generation `caught` must go.
    #[cold]
    #[inline(never)]
    fn load_stale(self, arrival: Arrival<'_, P>, caught: u64) {
        let Arrival { next, tag, now, .. } = arrival;
        // A walker must never meet a freed table, not even for the moment between the install and a flush that follows:
        // ranges are flushed after the install only where no tables went (Xen's XSA-292 is the other order, for leaves).
        match next.history.plan(caught, now, P::RANGE_CEILING) {
            Some(Plan { first, frees_tables: false }) => {
                hw::install(self.engine.platform(), Some(next), tag, OnInstall::Keep);
                self.flush_requests(&next.history, first, now, Some(tag));
            }
            _ => self.install_flushed(next, tag),
        }
        self.arrive_slowly(arrival);
    }

    /// Flushes all tags, since each may have changed hands, then loads the space. What the walker fills in between
    /// belongs to the root that is still loaded, and goes under its tag.
    #[cold]
    #[inline(never)]
    fn load_after_rollover(self, arrival: Arrival<'_, P>) {
        self.roll_over(arrival);
        hw::install(self.engine.platform(), Some(arrival.next), arrival.tag, OnInstall::Keep);
        self.arrive_slowly(arrival);
    }

    /// The arrival is that of an approach that has not ended.
    fn roll_over(self, Arrival { me, previous, .. }: Arrival<'_, P>) {
        if without(Rule::TagReuseFlushes) {
            self.engine.platform().tags().flushed(self.tags(me));
        } else {
            self.flush_everything();
        }
        if let Some(previous) = previous {
            self.save(me, hw::still_loaded(previous));
        }
    }

    /// The same as [`arrive`](Self::arrive), out of line, for the paths that have just flushed.
    #[cold]
    #[inline(never)]
    fn arrive_slowly(self, arrival: Arrival<'_, P>) {
        self.arrive(arrival);
    }

    /// Says that the hardware has what the arrival names.
    #[inline]
    pub(crate) fn arrive(self, Arrival { me, next, previous, tag, now }: Arrival<'_, P>) {
        if without(Rule::SelfAdd) && !without(Rule::MaskCovers) && !next.members().contains(me) {
            // The rule removed: the bit comes when the walker has begun.
            next.members().add_self(me);
        }
        self.local.own.tag.store(u64::from(tag.number()), Ordering::Relaxed);
        // ORDER(SD-8): the hardware is out of the old root before others see this: a CPU that still reads the old space as
        // loaded, and this generation with it, takes it for an answer; partner: `Awaited::is_behind`.
        self.local.published.caught.store(now, Site::SwitchAck.release());
        if let Some(previous) = previous {
            self.left(me, hw::still_loaded(previous));
        }
        self.publish_loaded(Loaded::active(next.address()));
        self.engine.platform().event(Event::Switched(next.id()));
    }

    #[inline]
    fn install_flushed(self, next: &AddressSpace<P>, tag: Tag) {
        self.local.own.counters.full.bump();
        hw::install(self.engine.platform(), Some(next), tag, OnInstall::Flush);
    }

    /// Takes an approach back: nothing is loaded, nothing is held, and this CPU is not in the mask of `next`. In that of
    /// the space that it had it may stay, which costs flushes a look: where this CPU has called the engine since, that
    /// space may be gone. Where such a call has ended the approach, there is nothing to take back.
    #[cold]
    #[inline(never)]
    pub(crate) fn retreat(self, Arrival { next, .. }: Arrival<'_, P>) {
        if self.loaded() != Loaded::SWITCHING {
            return;
        }
        self.unload_and_forget();
        // ORDER(SD-3): the hardware uses neither root, and all entries are gone.
        self.forget_bit(next);
        self.publish_loaded(Loaded::NOTHING);
    }

    /// The tag under which the loaded space runs.
    #[inline]
    pub(crate) fn loaded_tag(self) -> Tag {
        // ORDER: relaxed, as only this CPU writes it.
        Tag::new(self.local.own.tag.load(Ordering::Relaxed) as u16)
    }

    /// Marks this CPU lazy: user code has stopped, a kernel thread runs on what is loaded.
    #[inline]
    pub(crate) fn enter_lazy(self) {
        let loaded = self.loaded();
        if loaded.is_active() {
            // ORDER(SD-8): user accesses are over before an initiator sees this and lets their frames go; partner:
            // `Shootdown::loaded_of`.
            self.local.published.loaded.store(Loaded::lazy(loaded.address()).0, Site::EnterLazy.release());
            self.engine.platform().event(Event::WentLazy);
        }
    }

    /// Leaves a space that no user code runs in.
    #[inline(never)]
    pub(crate) fn leave_unless_active(self) {
        self.must_not_run_user_code();
        self.leave();
    }

    /// Loads the kernel's own root, if a space is loaded, and removes this CPU from its mask. No user code runs here.
    pub(crate) fn leave(self) {
        let Some(space) = hw::space_of::<P>(self.loaded()) else { return };
        let me = self.me();
        let changing = Changing(self.local);
        self.save(me, space);
        hw::install(self.engine.platform(), None, Tag::NONE, OnInstall::Keep);
        self.engine.platform().tags().on_unload(self.tags(me));
        self.engine.platform().event(Event::Left(space.id()));
        // ORDER(SD-3): the hardware has stopped using the root (install is complete on return); its entries are under a
        // tag whose generation was saved, or are gone. The space's memory is last used here.
        self.forget_bit(space);
        self.publish_loaded(Loaded::NOTHING);
        core::mem::forget(changing);
    }

    /// Takes this CPU, whose hardware does not use the root, out of the mask of `space`.
    #[inline(never)]
    pub(crate) fn forget_bit(self, space: &AddressSpace<P>) {
        self.local.own.counters.trims.bump();
        space.members().remove_self(self.me());
    }

    /// Handles the IPI: everything that may have been asked since the last one. As far as this CPU knows no interrupt
    /// is in flight any more. If one is, it finds nothing to do, and a request posted meanwhile sends another.
    ///
    /// ```text
    ///   this CPU                     a CPU that sends
    ///   reads the word               what is asked; full fence
    ///   reads what is asked          word += a request; an interrupt if it was 0
    ///   flushes, acknowledges
    ///   word := 0, if it is what it was
    /// ```
    /// The request stays until it is answered. A CPU that asks meanwhile finds it, sends no interrupt, and makes the
    /// exchange fail; then this CPU answers again. If that exchange fails too, this CPU takes all requests before it
    /// answers: a CPU that asks from there on sends an interrupt again, so that a handler ends. Explored by
    /// `asked-while-answering`.
    pub(crate) fn handle_ipi(self) {
        if self.local.requests() == IpiState::REQUESTED {
            self.answer();
            if !self.local.exchange_ipi_state(IpiState::REQUESTED, IpiState::IDLE) {
                self.handle_rest();
            }
        } else if !self.handle_rest() {
            return;
        }
        self.local.own.counters.handled.bump();
        self.engine.platform().event(Event::IpiHandled);
    }

    /// The same from any state of the word. Says whether anything was asked.
    #[inline]
    fn handle_rest(self) -> bool {
        let asked = self.local.requests();
        if asked.is_requested() {
            self.answer_apart();
        }
        if self.local.exchange_ipi_state(asked, asked.handled()) {
            return asked.is_requested();
        }
        let more = self.local.take_requests_slowly(IpiState::handled);
        if more {
            let unanswered = Unanswered(self.local);
            self.answer_apart();
            core::mem::forget(unanswered);
        }
        more || asked.is_requested()
    }

    /// The same as [`answer`](Self::answer), out of line.
    #[cold]
    #[inline(never)]
    pub(crate) fn answer_apart(self) {
        self.answer();
    }

    /// Does what may have been asked of this CPU.
    #[inline(always)]
    fn answer(self) {
        self.catch_up_kernel();
        let loaded = self.loaded();
        if let Some(space) = hw::space_of::<P>(loaded) {
            if loaded.is_lazy() {
                self.local.own.counters.evictions.bump();
                self.leave();
            } else {
                self.catch_up(space);
            }
        }
        if P::ON_LEAVE == OnLeave::KeepBit {
            self.answer_trim();
        }
    }

    /// Brings this CPU's TLB up to date with `space`, which it has loaded, and says so.
    #[inline]
    pub(crate) fn catch_up(self, space: &AddressSpace<P>) {
        // ORDER: relaxed, as only this CPU writes it.
        let seen = self.local.published.caught.load(Ordering::Relaxed);
        let now = space.history.now();
        if seen != now {
            self.catch_up_from(space, seen, now);
        }
    }

    #[inline(never)]
    fn catch_up_from(self, space: &AddressSpace<P>, seen: u64, now: u64) {
        if without(Rule::AckAfterFlush) {
            self.local.published.caught.store(now, Ordering::Release);
        }
        if P::Tags::CAN_REASSIGN && self.move_tag(space, now) {
            return;
        }
        if now.wrapping_sub(seen) == 1 {
            // The usual case, which needs no plan.
            self.flush_loaded(space.history.recall(now));
        } else {
            let tag = Tag::new(self.local.own.tag.load(Ordering::Relaxed) as u16);
            self.flush_missed(&space.history, seen, now, Some(tag));
        }
        self.acknowledge(space, now);
    }

    /// Loads the loaded space under another tag, if its policy says so; what that one holds is current.
    fn move_tag(self, space: &AddressSpace<P>, now: u64) -> bool {
        let platform = self.engine.platform();
        let tag = Tag::new(self.local.own.tag.load(Ordering::Relaxed) as u16);
        let Some(tag) = platform.tags().reassigned(space.tags(), tag) else { return false };
        hw::install(platform, Some(space), tag, OnInstall::Keep);
        self.local.own.tag.store(u64::from(tag.number()), Ordering::Relaxed);
        self.acknowledge(space, now);
        true
    }

    /// Flushes what a request covers of the loaded space.
    #[inline]
    pub(crate) fn flush_loaded(self, request: FlushRequest) {
        let tag = Tag::new(self.local.own.tag.load(Ordering::Relaxed) as u16);
        self.flush_hardware(LocalFlush { tag: Some(tag), request: request.up_to(P::RANGE_CEILING) });
    }

    /// Says that this CPU agrees with generation `now` of the loaded space.
    #[inline]
    pub(crate) fn acknowledge(self, space: &AddressSpace<P>, now: u64) {
        // ORDER(SD-6): the flush is complete (platform contract) before the acknowledgement; partner: `Awaited::is_behind`.
        self.local.published.caught.store(now, Site::Ack.release());
        self.engine.platform().event(Event::CaughtUp(space.id(), Generation(now)));
    }

    /// Brings this CPU's TLB up to date with kernel memory, and says so.
    #[inline]
    pub(crate) fn catch_up_kernel(self) {
        // ORDER: relaxed, as only this CPU writes it.
        let seen = self.local.published.kernel_caught.load(Ordering::Relaxed);
        let now = self.engine.kernel.now();
        if seen != now {
            self.catch_up_kernel_from(seen, now);
        }
    }

    #[cold]
    fn catch_up_kernel_from(self, seen: u64, now: u64) {
        debug_assert!(seen & IN_USER == 0, "this CPU has come into the kernel without `exit_user`");
        self.flush_missed(&self.engine.kernel, seen, now, None);
        // ORDER(SD-6): the flush is complete before the acknowledgement; partner: `Awaited::is_behind_in_kernel`.
        self.local.published.kernel_caught.store(now, Site::KernelAck.release());
    }

    #[inline]
    pub(crate) fn flush_hardware(self, what: LocalFlush) {
        if without(Rule::ContextsFollow) && what.request.syncs_contexts() {
            return;
        }
        let counters = &self.local.own.counters;
        match what.request.range() {
            Some(_) => counters.selective.bump(),
            None => counters.full.bump(),
        }
        hw::flush_local(self.engine.platform(), what);
    }

    /// Flushes everything, and tells the tag policy.
    #[cold]
    #[inline(never)]
    pub(crate) fn flush_everything(self) {
        self.flush_hardware(LocalFlush::EVERYTHING);
        self.engine.platform().tags().flushed(self.tags(self.me()));
    }

    /// Flushes what was asked for since generation `seen`, under a tag or of kernel memory.
    #[cold]
    fn flush_missed(self, history: &FlushHistory, seen: u64, now: u64, tag: Option<Tag>) {
        match history.plan(seen, now, P::RANGE_CEILING) {
            Some(plan) => self.flush_requests(history, plan.first, now, tag),
            None => self.flush_hardware(LocalFlush { tag, request: FlushRequest::all() }),
        }
    }

    /// Flushes what each request of a plan says, or everything once one is gone.
    #[inline(always)]
    fn flush_requests(self, history: &FlushHistory, first: u64, now: u64, tag: Option<Tag>) {
        for generation in first..=now {
            let request = history.recall(generation);
            self.flush_hardware(LocalFlush { tag, request });
            if request.range().is_none() {
                return;
            }
        }
    }

    /// Remembers how far this CPU's entries of a space that it leaves are up to date.
    #[inline]
    fn save(self, me: CpuId, space: &AddressSpace<P>) {
        let tag = Tag::new(self.local.own.tag.load(Ordering::Relaxed) as u16);
        // ORDER: relaxed, as only this CPU writes it.
        let caught = self.local.published.caught.load(Ordering::Relaxed);
        self.engine.platform().tags().on_switch_out(self.tags(me), space.tag_space(), tag, caught);
    }

    /// This CPU, for the tag policy.
    #[inline]
    pub(crate) fn tags(self, me: CpuId) -> TagCpu<'a> {
        TagCpu { id: me, slots: &self.local.own.slots }
    }

    /// The hardware has left `previous` for another root.
    #[inline]
    fn left(self, me: CpuId, previous: &AddressSpace<P>) {
        if P::ON_LEAVE == OnLeave::RemoveBit && !without(Rule::SelfRemove) {
            self.local.own.counters.trims.bump();
            previous.members().remove_self(me);
        }
    }

    #[inline]
    pub(crate) fn publish_loaded(self, loaded: Loaded) {
        // ORDER(SD-3): the install, the acknowledged generation and the last use of what was loaded before, all before
        // others see the new word; partner: `Shootdown::loaded_of`.
        self.local.published.loaded.store(loaded.0, Site::Loaded.release());
    }
}
