//! The engine's platform on the simulated machine: what an embedder writes, thirty lines of it.

use super::barrier::Barrier;
use super::boot::{Boot, Oracles};
use super::nmi::Nmi;
use super::pages::{page_address, pages, walk};
use super::queue::Queue;
use super::start::Start;
use super::wires::{OnEntry, Transport, Wires};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, Remote, RemoteFlush};
use shootdown::mask::{MaskStore, MaskSummary, MaskWord, OnLeave};
use shootdown::refs::{SpaceHandle, Teardown, UserHandle};
use shootdown::tags::{OnInstall, Tag, TagPolicy};
use shootdown::trace::{Event, IrqReason};
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown, SpaceId};
use shootdown_explore::Interrupts;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::HardwareOrder;
use shootdown_machine::hw;
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

/// How the machine's software is set up.
pub trait TestMachine: 'static {
    /// Tags.
    type Tags: TagPolicy + MakeTags + 'static;
    /// What switching CPUs do about their bits.
    const ON_LEAVE: OnLeave = OnLeave::RemoveBit;
    /// Flushes of a space after which one trims its mask.
    const TRIM_EVERY: u64 = u64::MAX;
    /// Whether an IOMMU shares page tables, and perhaps a device behind it keeps translations.
    const SECONDARY_TLBS: bool = false;
    /// Whether CPUs say that they run user code.
    const USER_MODE: bool = false;
    /// Tags besides the untagged one that the hardware needs.
    const TAGS: usize = 0;
    /// How flushes reach other CPUs.
    const TRANSPORT: Transport = Transport::Ipis;
    /// What orders page walks and flushes against accesses.
    const ORDER: HardwareOrder = HardwareOrder::Program;
    /// Whether an IPI waits for stores only where the platform has a barrier before it.
    const INTERRUPTS: Interrupts = Interrupts::Follow;
    /// CPUs that share a TLB, a bit each; 0 for none.
    const SHARED_TLB: u8 = 0;
    /// What the handler of a non-maskable interrupt does.
    const NMI: Nmi = Nmi::Never;
    /// Pages up to which ranges are flushed one by one.
    const CEILING: u64 = 33;
    /// Whether there is a piece of code, which scenarios change.
    const CODE: bool = false;
    /// What the hypervisor does for a virtual CPU that runs again and was to be flushed.
    const ON_ENTRY: OnEntry = OnEntry::Everything;
    /// CPUs to a word of a mask, by the numbers that the engine knows them by. Below 64, masks have a summary.
    const CPUS_PER_WORD: u32 = 64;

    /// What has happened before the exploration begins: CPUs have run spaces, and run by now what the plan says.
    fn before(history: &History<'_, Self>)
    where
        Self: Sized,
    {
        let _ = history;
    }
}

/// A world before its exploration begins, for [`TestMachine::before`].
pub struct History<'w, S: TestMachine> {
    pub(crate) engine: &'static Shootdown<Sim<S>>,
    pub(crate) spaces: &'w [&'static AddressSpace<Sim<S>>],
}

impl<S: TestMachine> History<'_, S> {
    /// Has `cpu` run a thread of the space, of which there is one at the start.
    pub fn run(&self, cpu: usize, space: usize) {
        let engine = self.on(cpu);
        // SAFETY: 1. the plan counted a thread of each space; the reference is taken apart again below.
        let user = unsafe { UserHandle::from_inner(Handle(self.spaces[space])) };
        let user = engine.user_from_handle(user);
        engine.switch_to(&user);
        let _ = user.into_handle();
    }

    /// Has `cpu` flush page 0 of a space, to no purpose, so many times.
    pub fn flush_page(&self, cpu: usize, space: usize, times: usize) {
        let request = FlushRequest::pages(PageRange::page(page_address(0)));
        (0..times).for_each(|_| self.on(cpu).flush(self.space(space), request));
    }

    /// The engine, as `cpu` calls it.
    pub fn on(&self, cpu: usize) -> &'static Shootdown<Sim<S>> {
        self.engine.platform().boot.go_on(cpu);
        self.engine
    }

    /// A space.
    pub fn space(&self, space: usize) -> &'static AddressSpace<Sim<S>> {
        self.spaces[space]
    }
}

/// What a tag policy is made for.
pub struct TagRoom {
    /// CPUs.
    pub cpus: usize,
    /// Tags, 0 counted.
    pub tags: u32,
    /// The CPUs while the scenario is being built.
    pub boot: &'static Boot,
}

/// Makes tag policies; what they are lent is never given back.
pub trait MakeTags: Sized {
    /// Makes one.
    fn make(room: &TagRoom) -> Self;
}

/// A simulated machine's platform.
pub struct Sim<S: TestMachine> {
    pub(crate) locals: Vec<CpuLocal>,
    /// Per space: 1 where its teardown waits to be resumed.
    pub(crate) deferred: [Word; 2],
    /// Requests that a thread has made of a kernel thread, and those that were answered.
    pub(crate) requests: [Word; 2],
    /// What a thread carries to the CPU on which it finishes: the flush, the frames, and the oracle's number.
    pub(crate) carried: [Word; 3],
    tags: S::Tags,
    pub(crate) wires: Wires,
    /// The commands of the IOMMU, where there is one.
    pub(crate) queue: Option<Box<Queue>>,
    /// What CPUs do while the scenario is being built.
    pub(crate) boot: &'static Boot,
}

pub(crate) const IPI: u8 = 0;

/// A mask of one word, or of several with a summary.
#[derive(Debug)]
pub struct Mask<S> {
    words: [MaskWord; MAX_WORDS],
    summary: MaskSummary,
    setup: PhantomData<fn() -> S>,
}

/// Words of a mask that has a summary.
const MAX_WORDS: usize = 3;

impl<S: TestMachine> Mask<S> {
    /// Makes an empty mask.
    pub(crate) fn new() -> Self {
        Self {
            words: [const { MaskWord::new() }; MAX_WORDS],
            summary: MaskSummary::new(),
            setup: PhantomData,
        }
    }
}

// SAFETY: 1. and 2. words and summary are fields of the value, made with it and never replaced.
unsafe impl<S: TestMachine> MaskStore for Mask<S> {
    fn words(&self) -> &[MaskWord] {
        if S::CPUS_PER_WORD < 64 { &self.words } else { &self.words[..1] }
    }
    fn summary(&self) -> Option<&MaskSummary> {
        (S::CPUS_PER_WORD < 64).then_some(&self.summary)
    }
}

/// The number that the engine knows a CPU by.
fn number<S: TestMachine>(cpu: usize) -> CpuId {
    let cpu = cpu as u32;
    CpuId::new(cpu / S::CPUS_PER_WORD * 64 + cpu % S::CPUS_PER_WORD)
}

/// The CPU that the engine knows by a number.
fn index<S: TestMachine>(cpu: CpuId) -> usize {
    (cpu.number() / 64 * S::CPUS_PER_WORD + cpu.number() % 64) as usize
}

/// A pointer to a space, which knows its number.
pub struct Handle<S: TestMachine>(pub(crate) &'static AddressSpace<Sim<S>>);

impl<S: TestMachine> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Handle(self.0)
    }
}

// SAFETY: 1. a copy of one reference; 2. the space is leaked, `retire` tells the explorer when it counts as freed.
unsafe impl<S: TestMachine> SpaceHandle<Sim<S>> for Handle<S> {
    fn space(&self) -> &AddressSpace<Sim<S>> {
        self.0
    }
}

impl<S: TestMachine> Sim<S> {
    pub(crate) fn new(cpus: usize, starts: impl Iterator<Item = Start>, oracles: Oracles) -> Self {
        let boot = &*Box::leak(Box::new(Boot::new(cpus, oracles)));
        Self {
            locals: (0..cpus).map(|_| CpuLocal::new()).collect(),
            deferred: [Word::new("deferred", 0), Word::new("deferred", 0)],
            requests: [Word::new("submitted", 0), Word::new("answered", 0)],
            carried: [
                Word::new("carried flush", 0),
                Word::new("carried frames", 0),
                Word::new("carried number", 0),
            ],
            tags: S::Tags::make(&TagRoom { cpus, tags: S::TAGS as u32 + 1, boot }),
            wires: Wires::new(cpus),
            queue: S::SECONDARY_TLBS.then(|| Box::new(Queue::new(starts))),
            boot,
        }
    }
}

fn tag_number(tag: Tag) -> u8 {
    tag.number() as u8
}

// SAFETY: 1. the explorer numbers CPUs; 2. a fixed vector, and each policy's words are new; 3. the explorer's interrupt
// flag, and nothing preempts; 4. the simulated hardware does them in one step; 5. `raise` reaches the scenario's handler,
// which calls `handle_ipi`; 6. `Done` only after the broadcast; 7. the queue's end moves behind what was carried out.
unsafe impl<S: TestMachine> Platform for Sim<S> {
    type Root = usize;
    type Mask = Mask<S>;
    type Handle = Handle<S>;
    type Tags = S::Tags;
    type Pin = ();

    const RANGE_CEILING: u64 = S::CEILING;
    const ON_LEAVE: OnLeave = S::ON_LEAVE;
    const TRIM_EVERY: u64 = S::TRIM_EVERY;
    const USER_MODE: bool = S::USER_MODE;
    const SECONDARY_TLBS: bool = S::SECONDARY_TLBS;
    const FLUSHES_ON_ENTRY: bool = matches!(S::TRANSPORT, Transport::Paravirtual);

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        number::<S>(self.boot.cpu().unwrap_or_else(sync::cpu))
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[index::<S>(cpu)]
    }
    #[track_caller]
    fn irq_save(&self, reason: IrqReason) -> bool {
        let were_on = sync::irq_save();
        if let (IrqReason::EnterLazy, Some(watch)) = (reason, &self.boot.watch) {
            watch.idle(self.me());
        }
        were_on
    }
    fn irq_restore(&self, were_on: bool) {
        sync::irq_restore(were_on);
    }
    fn tags(&self) -> &S::Tags {
        &self.tags
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        let watch = self.boot.watch.as_ref().map(|watch| (watch, watch.now()));
        self.flush_hardware(what);
        if let Some((watch, now)) = watch {
            watch.flushed(self.me(), what, now);
        }
    }
    unsafe fn install(&self, root: Option<usize>, tag: Tag, how: OnInstall) {
        let watch = self.boot.watch.as_ref().map(|watch| (watch, watch.now()));
        self.load_root(root, tag, how);
        if let Some((watch, now)) = watch {
            watch.installed(self.me(), root.is_some(), tag, how, now);
        }
    }
    fn publish_tables(&self) {
        if S::ORDER == HardwareOrder::Barriers && self.boot.cpu().is_none() {
            Barrier::PublishTables.issue();
        }
    }
    fn send_ipi(&self, cpu: CpuId) {
        if S::INTERRUPTS == Interrupts::Overtake {
            Barrier::BeforeIpi.issue();
        }
        sync::raise(index::<S>(cpu), IPI);
    }
    unsafe fn free_root(&self, handle: Self::Handle) {
        let space = handle.space();
        if let Some(watch) = &self.boot.watch {
            watch.root_freed(self.me(), space.id());
        }
        hw::free_root(space.root());
        sync::retire(space);
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let root = teardown.root();
        let _ = teardown.into_handle();
        self.deferred[root].store(1, Ordering::Release);
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        let watch = self.boot.watch.as_ref().map(|watch| (watch, watch.now()));
        let answer = self.by_transport(&what);
        if let (Some((watch, now)), Remote::Done) = (watch, answer) {
            watch.broadcast(what.space.map(AddressSpace::id), what.tag, what.request, now);
        }
        answer
    }
    fn needs_ack(&self, cpu: CpuId) -> bool {
        let must = !Self::FLUSHES_ON_ENTRY || self.wires.needs_ack(cpu);
        self.excuse(cpu, !must);
        must
    }
    fn flush_on_entry(&self, cpu: CpuId, _: Option<SpaceId>, _: FlushRequest) -> bool {
        let deferred = self.wires.flush_on_entry(cpu);
        self.excuse(cpu, deferred);
        deferred
    }
    fn invalidate_secondary(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.post_flush(space.map(AddressSpace::root), request))
    }
    fn secondary_is_done(&self, position: u64) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.is_done(position))
    }
    fn before_offline(&self) {
        hw::offline();
        if let Some(watch) = &self.boot.watch {
            watch.offline(self.me());
        }
    }
    fn gathered(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        self.removed(space.map(AddressSpace::id), request)
    }
    fn released(&self, number: u64) {
        if let Some(watch) = &self.boot.watch {
            watch.released(number);
        }
    }
    fn event(&self, event: Event) {
        let Some(watch) = &self.boot.watch else { return };
        match event {
            Event::Switched(space) => watch.begun(self.me(), space),
            Event::CaughtUp(space, _) if S::Tags::CAN_REASSIGN => watch.moved(self.me(), space),
            Event::Online => watch.online(self.me()),
            _ => {}
        }
    }
}

impl<S: TestMachine> Sim<S> {
    /// This CPU, for the oracle, whose CPUs have no gaps between their numbers.
    fn me(&self) -> CpuId {
        CpuId::new(self.boot.cpu().unwrap_or_else(sync::cpu) as u32)
    }

    /// Tells the TLB sanitizer for real kernels that translations were taken out.
    pub(crate) fn removed(&self, space: Option<SpaceId>, request: FlushRequest) -> u64 {
        self.boot.watch.as_ref().map_or(0, |watch| watch.removed(self.me(), space, request))
    }

    fn excuse(&self, cpu: CpuId, certain: bool) {
        if let (true, Some(watch)) = (certain, &self.boot.watch) {
            watch.excused(CpuId::new(index::<S>(cpu) as u32));
        }
    }

    fn flush_hardware(&self, what: LocalFlush) {
        if let Some(cpu) = self.boot.cpu() {
            return self.boot.flush(cpu, what);
        }
        if S::CODE && (what.request.syncs_contexts() || what.request.range().is_none()) {
            hw::synchronise_context();
        }
        if what.request.syncs_contexts() {
            return;
        }
        if S::ORDER == HardwareOrder::Barriers {
            Barrier::BeforeFlush.issue();
        }
        let walk = walk(what.request);
        match (what.tag, what.request.range()) {
            (Some(tag), Some(range)) => {
                pages(range).for_each(|page| hw::flush_page(tag_number(tag), page, walk));
            }
            (Some(tag), None) => hw::flush_tag(tag_number(tag)),
            (None, Some(range)) => pages(range).for_each(|page| hw::flush_kernel(page, walk)),
            (None, None) => hw::flush_all(),
        }
        if S::ORDER == HardwareOrder::Barriers {
            Barrier::FlushComplete.issue();
        }
    }

    fn load_root(&self, root: Option<usize>, tag: Tag, how: OnInstall) {
        if let Some(cpu) = self.boot.cpu() {
            return self.boot.install(cpu, root, tag, how);
        }
        if S::CODE && (how == OnInstall::Flush || S::TRANSPORT == Transport::TagBroadcast) {
            hw::synchronise_context();
        }
        let how = match how {
            OnInstall::Keep => hw::Install::Keep,
            OnInstall::Flush => hw::Install::FlushTag,
        };
        if S::ORDER == HardwareOrder::Barriers {
            Barrier::BeforeWalk.issue();
        }
        hw::install(root, tag_number(tag), how);
        if S::ORDER == HardwareOrder::Flushes && Barrier::RootFence.is_there() {
            hw::flush_tag(tag_number(tag));
        }
    }
}
