//! The machine of the engine's tests: CPUs that take turns on one thread, TLBs that remember what each entry was filled
//! from, and everything that can go wrong around the engine: IPIs that are lost, late, duplicate or spurious, CPUs with
//! interrupts off, callbacks that unwind. A [`Kind`] says what differs at compile time, and fields of [`State`] the
//! rest.

#![allow(dead_code, reason = "each test program uses a part")]

pub mod bomb;
pub mod state;

use bomb::{Callback, When, is_explosion};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, Remote, RemoteFlush, VirtAddr};
use shootdown::mask::{CpuMask, MaskStore, OnLeave};
use shootdown::refs::{SpaceHandle, Teardown, TeardownHandle, UserRef};
use shootdown::tags::{CpuTags, OnInstall, Tag, TagPolicy, TagStorage, TagWord, tag_words};
use shootdown::trace::{Counters, Event, IrqReason};
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown, SpaceId};
use state::{Frame, OnDefer, State, Unwinding};
use std::cell::{OnceCell, RefCell};
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Polls of one wait after which a test has hung.
pub const FOR_EVER: u64 = if cfg!(miri) { 120 } else { 10_000 };
/// Polls after which a CPU that was caught unwinding recovers.
const RECOVERS_AFTER: u64 = 20;

/// A kind of machine.
pub trait Kind: Sized + 'static {
    type Mask: MaskStore;
    type Handle: SpaceHandle<Machine<Self>>;
    type Tags: TagPolicy;
    const ON_LEAVE: OnLeave = OnLeave::RemoveBit;
    const TRIM_EVERY: u64 = u64::MAX;
    const FLUSHES_ON_ENTRY: bool = false;
    const MULTICAST: bool = false;
    const STALL_POLLS: u64 = 4;
    const SECONDARY_TLBS: bool = false;

    /// Makes an empty mask, of a space or of the machine.
    fn mask(state: &'static State) -> Self::Mask;
}

/// A space that is never freed.
pub type Leaked<K> = &'static AddressSpace<Machine<K>>;

/// Spaces that are never freed, in masks of so many words.
pub struct Plain<T, const WORDS: usize = 1>(PhantomData<T>);

impl<T: TagPolicy + 'static, const WORDS: usize> Kind for Plain<T, WORDS> {
    type Mask = CpuMask<WORDS>;
    type Handle = Leaked<Self>;
    type Tags = T;

    fn mask(_: &'static State) -> CpuMask<WORDS> {
        CpuMask::new()
    }
}

/// The machine.
pub struct Machine<K: Kind> {
    pub state: &'static State,
    locals: Vec<CpuLocal>,
    tags: K::Tags,
    engine: OnceCell<&'static Shootdown<Self>>,
    /// Teardowns that were handed over.
    pub deferred: RefCell<Vec<TeardownHandle<Self>>>,
}

pub type User<K> = UserRef<'static, Machine<K>>;

// SAFETY: each machine is used by one thread.
unsafe impl<K: Kind> Sync for Machine<K> {}

impl<K: Kind> Deref for Machine<K> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state
    }
}

/// A thread that is kept on its CPU.
pub struct Pinned(&'static State);

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.ends(Callback::PinDrop);
    }
}

// SAFETY: 1. `on` sets the number; 2. a fixed vector, and each machine's tags have words of their own; 3. one thread; 4. the
// model does as told, or unwinds; 5. the target of an IPI handles it when a waiter polls, unless a test is about IPIs that are
// lost; 6. the model drops the tag on all CPUs; 7. the device drops what was
// posted before its queue counts as worked off, unless a test sets how far it is.
unsafe impl<K: Kind> Platform for Machine<K> {
    type Root = u64;
    type Mask = K::Mask;
    type Handle = K::Handle;
    type Tags = K::Tags;
    type Pin = Pinned;
    const STALL_POLLS: u64 = K::STALL_POLLS;
    const ON_LEAVE: OnLeave = K::ON_LEAVE;
    const TRIM_EVERY: u64 = K::TRIM_EVERY;
    const FLUSHES_ON_ENTRY: bool = K::FLUSHES_ON_ENTRY;
    const MULTICAST: bool = K::MULTICAST;
    const SECONDARY_TLBS: bool = K::SECONDARY_TLBS;

    fn pin(&self) -> Pinned {
        self.calls(Callback::Pin, When::Before);
        self.open.set(self.open.get() + 1);
        Pinned(self.state)
    }
    fn cpu(&self) -> CpuId {
        self.calls(Callback::Cpu, When::Before);
        CpuId::new(self.cpu.get())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        self.calls(Callback::Local, When::Before);
        &self.locals[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        self.calls(Callback::IrqSave, When::Before);
        self.open.set(self.open.get() + 1);
        true
    }
    fn irq_restore(&self, _: bool) {
        self.open.set(self.open.get() - 1);
        self.ends(Callback::IrqRestore);
    }
    fn tags(&self) -> &K::Tags {
        self.calls(Callback::Tags, When::Before);
        &self.tags
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        self.around(Callback::FlushLocal, || {
            self.flush(what);
            self.record(|log| log.flushes.push((self.cpu.get(), what)));
        });
    }
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        self.around(Callback::Install, || {
            self.state.install(root, tag, how);
            self.record(|log| log.installs.push((self.cpu.get(), root)));
        });
    }
    fn send_ipi(&self, cpu: CpuId) {
        assert_ne!(self.open.get(), 0, "this thread may be on another CPU by now");
        self.around(Callback::SendIpi, || self.state.send_ipi(cpu.number()));
    }
    unsafe fn free_root(&self, handle: Self::Handle) {
        self.around(Callback::FreeRoot, || self.state.free_root(handle.space().root()));
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        self.around(Callback::DeferTeardown, || match self.on_defer.get() {
            OnDefer::Keep => self.deferred.borrow_mut().push(teardown.into_handle()),
            OnDefer::Finish => teardown.finish(),
            OnDefer::Lose => drop(teardown.into_handle()),
        });
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        self.around(Callback::FlushRemote, || {
            self.record(|log| log.targets = targets(&what));
            let Some(tag) = what.tag.filter(|_| !self.refuses.get()) else { return Remote::NeedsIpi };
            self.broadcast(tag);
            Remote::Done
        })
    }
    fn needs_ack(&self, cpu: CpuId) -> bool {
        self.calls(Callback::NeedsAck, When::Before);
        self.answered_for.get() != Some(cpu.number())
    }
    fn flush_on_entry(&self, cpu: CpuId, space: Option<SpaceId>, request: FlushRequest) -> bool {
        self.calls(Callback::Defer, When::Before);
        let taken = self.preempted.get() == Some(cpu.number());
        if taken {
            self.answered_for.set(Some(cpu.number()));
            self.record(|log| log.deferred.push((cpu.number(), space, request)));
        }
        taken
    }
    fn publish_tables(&self) {
        self.calls(Callback::PublishTables, When::Before);
        self.record(|log| log.published.push(self.pending_ipis().len()));
    }
    fn relax(&self, polls: u64) {
        self.around(Callback::Relax, || {
            assert!(polls < FOR_EVER, "a wait goes on for ever");
            if let Some(act) = self.device.meanwhile.take() {
                act();
            }
            if polls == self.device.answers_at.get() {
                self.device.work_off();
            }
            self.poll();
            // A CPU on which a callback panicked goes on some time later.
            let away = self.exploded.get().filter(|&cpu| cpu != self.cpu.get());
            if let Some(cpu) =
                away.filter(|_| polls == RECOVERS_AFTER && self.unwinding.get() == Unwinding::Recovers)
            {
                self.recover(cpu);
            }
        });
    }
    fn stalled(&self, cpu: CpuId, polls: u64) {
        self.calls(Callback::Stalled, When::Before);
        self.stalled.borrow_mut().push((cpu.number(), polls));
    }
    fn invalidate_secondary(&self, space: Option<&AddressSpace<Self>>, request: FlushRequest) -> u64 {
        let root = space.map(AddressSpace::root);
        let generation = space.map(|space| space.generation().number());
        self.record(|log| log.posts.push((log.published.len(), generation)));
        self.around(Callback::InvalidateSecondary, || self.state.post(root, request))
    }
    fn secondary_is_done(&self, position: u64) -> bool {
        self.around(Callback::SecondaryIsDone, || self.device.done.get() >= position)
    }
    fn secondary_stalled(&self, position: u64, polls: u64) {
        self.calls(Callback::SecondaryStalled, When::Before);
        self.device.late.borrow_mut().push((position, polls));
    }
    fn before_offline(&self) {
        self.calls(Callback::BeforeOffline, When::Before);
        if let Some(act) = self.device.meanwhile.take() {
            act();
        }
    }
    fn gathered(&self, space: Option<&AddressSpace<Self>>, _: FlushRequest) -> u64 {
        self.calls(Callback::Gathered, When::Before);
        self.record(|log| log.gathers.push((space.map(AddressSpace::root), log.flushes.len())));
        1
    }
    fn released(&self, number: u64) {
        self.calls(Callback::Released, When::Before);
        self.record(|log| log.gathers.extend((number == 1).then_some((None, log.flushes.len()))));
    }
    fn event(&self, event: Event) {
        if let Event::Switched(id) | Event::Left(id) | Event::CaughtUp(id, _) = event {
            self.uses(id.number(), "an event");
        }
        self.record(|log| {
            if let Event::CaughtUp(..) = event {
                log.caught_up.push((self.cpu.get(), log.flushes.len()));
            }
            log.events.push(event);
        });
        self.calls(Callback::Event, When::Before);
    }
}

fn targets<K: Kind>(what: &RemoteFlush<'_, Machine<K>>) -> std::collections::BTreeSet<u32> {
    let mut targets = std::collections::BTreeSet::new();
    what.for_each_target(|first, bits| {
        targets.extend((0..64).filter(|bit| bits >> bit & 1 == 1).map(|bit| first.number() + bit));
    });
    targets
}

impl<K: Kind> Machine<K> {
    /// Makes a platform without an engine; its CPUs are off line.
    pub fn new(state: &'static State, tags: K::Tags) -> Self {
        let locals = (0..state.cpus()).map(|_| CpuLocal::new()).collect();
        let (engine, deferred) = (OnceCell::new(), RefCell::default());
        Self { state, locals, tags, engine, deferred }
    }

    pub fn engine(&self) -> &'static Shootdown<Self> {
        self.engine.get().expect("the engine is made first")
    }

    fn record(&self, note: impl FnOnce(&mut state::Log)) {
        if self.records.get() {
            note(&mut self.log.borrow_mut());
        }
    }

    pub fn counters(&self, cpu: u32) -> &Counters {
        self.locals[cpu as usize].counters()
    }

    /// The IPI handler of CPU `cpu`.
    pub fn handle_ipi(&self, cpu: u32) {
        // SAFETY: 1. nothing interrupts the thread that plays the CPUs; 2. no call of the engine is at work on this one.
        self.on(cpu, || unsafe { self.engine().handle_ipi() });
    }

    /// An IPI on `cpu`. The code that it interrupts does not see that the handler unwinds.
    pub fn interrupt(&self, cpu: u32) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.handle_ipi(cpu))) {
            is_explosion(&*panic);
        }
    }

    /// Lets a moment pass: IPIs arrive.
    pub fn poll(&self) {
        for cpu in self.arrivals() {
            match self.unwinding.get() {
                Unwinding::Propagates => self.handle_ipi(cpu),
                Unwinding::Recovers | Unwinding::StaysAway => self.interrupt(cpu),
            }
        }
    }

    /// What a CPU does after a panic in one of its callbacks was caught.
    pub fn recover(&self, cpu: u32) {
        self.hardware_of(cpu).active = false;
        self.on(cpu, || {
            self.engine().enter_lazy();
            self.engine().leave();
        });
        self.online(cpu);
    }

    pub fn online(&self, cpu: u32) {
        self.on(cpu, || self.engine().online_cpu()).expect("it fits");
        self.hardware_of(cpu).online = true;
    }

    pub fn offline(&self, cpu: u32) {
        self.go_lazy(cpu);
        self.hardware_of(cpu).online = false;
        self.on(cpu, || self.engine().offline_cpu());
    }

    /// Runs a thread of a space on `cpu`, which uses page 0.
    pub fn run(&self, cpu: u32, user: &User<K>) {
        self.switch(cpu, user);
        self.touch(cpu, 0);
    }

    /// Runs a thread of a space on `cpu`.
    pub fn switch(&self, cpu: u32, user: &User<K>) {
        self.hardware_of(cpu).active = false;
        self.on(cpu, || self.engine().switch_to(user));
        self.hardware_of(cpu).active = true;
    }

    /// Runs a kernel thread on `cpu`.
    pub fn go_lazy(&self, cpu: u32) {
        self.hardware_of(cpu).active = false;
        self.on(cpu, || self.engine().enter_lazy());
    }

    /// Unmaps a page on `cpu`, and lets go of its frame; then every CPU that runs the space uses the page.
    pub fn unmap(&self, cpu: u32, user: &User<K>, page: u64) {
        self.on(cpu, || {
            let mut gather = self.engine().gather::<Frame, 2>(user);
            let frame = self.state.clear(user.root(), page);
            assert!(gather.unmapped(page_range(page), frame).is_ok(), "there is room for two");
            gather.finish();
        });
        self.touch_where_loaded(user.root(), page);
    }
}

pub fn page_range(page: u64) -> PageRange {
    PageRange::page(VirtAddr(page << 12))
}

/// Makes a machine; its CPUs are on line, as many as there is room for in the mask.
pub fn machine<K: Kind>(state: &'static State, mask: K::Mask, tags: K::Tags) -> &'static Machine<K> {
    let room = 64 * mask.words().len() as u32;
    let engine: &'static _ = Box::leak(Box::new(Shootdown::new(Machine::new(state, tags), mask)));
    let host = engine.platform();
    assert!(host.engine.set(engine).is_ok());
    (0..state.cpus().min(room)).for_each(|cpu| host.online(cpu));
    state.hardware.borrow_mut().iter_mut().for_each(|cpu| cpu.everything = 0);
    host
}

/// Makes a space that is never freed, with its one user.
pub fn space<K: Kind<Handle = Leaked<K>>>(host: &Machine<K>, root: u64) -> User<K> {
    space_in(host, root, K::mask(host.state))
}

/// The same, in this mask.
pub fn space_in<K: Kind<Handle = Leaked<K>>>(host: &Machine<K>, root: u64, mask: K::Mask) -> User<K> {
    let space = host.engine().new_space(root, mask).expect("the masks are equally large");
    host.engine().register(Box::leak(Box::new(space))).expect("it is new")
}

/// Storage for so many CPUs and tags, pins allowed.
pub fn storage(cpus: u32, tags: u32) -> TagStorage<'static> {
    let words = |count| Vec::leak((0..count).map(|_| TagWord::new()).collect());
    TagStorage {
        taken: words(tag_words(tags)),
        pinned: words(tag_words(tags)),
        cpus: Vec::leak((0..cpus).map(|_| CpuTags::new()).collect()),
        caught: words((cpus * tags) as usize),
    }
}
