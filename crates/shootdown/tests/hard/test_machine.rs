//! A machine whose CPUs take turns on one thread, with everything that can go wrong around the engine: IPIs that are lost,
//! late, duplicate or spurious, CPUs with interrupts off, callbacks that panic.
//!
//! Each TLB entry remembers which state of its page it was filled from, so that whoever uses an old one is found out.
//! Findings are collected and not thrown: they may come up while a panic unwinds.

use shootdown::flush::{LocalFlush, PageRange, Remote, RemoteFlush, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::{Teardown, TeardownHandle, UserRef};
use shootdown::tags::{OnInstall, PerCpuSlots, Tag};
use shootdown::trace::IrqReason;
use shootdown::trace::{Counters, Event};
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Polls of one wait after which a test has hung.
pub const FOR_EVER: u64 = if cfg!(miri) { 120 } else { 10_000 };
pub const STALL_POLLS: u64 = 4;
/// Polls after which a late IPI arrives.
pub const FLUSHED_LATE: u64 = if cfg!(miri) { 20 } else { 100 };

/// What the engine calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    Pin,
    IrqSave,
    FlushLocal,
    Install,
    SendIpi,
    FreeRoot,
    DeferTeardown,
    FlushRemote,
    NeedsAck,
    PublishTables,
    Relax,
    Stalled,
    BeforeOffline,
    Event,
}

impl Callback {
    pub const ALL: [Self; 14] = [
        Self::Pin,
        Self::IrqSave,
        Self::FlushLocal,
        Self::Install,
        Self::SendIpi,
        Self::FreeRoot,
        Self::DeferTeardown,
        Self::FlushRemote,
        Self::NeedsAck,
        Self::PublishTables,
        Self::Relax,
        Self::Stalled,
        Self::BeforeOffline,
        Self::Event,
    ];
}

/// What happens to an IPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpiFate {
    /// It arrives with the next poll.
    Arrives,
    /// It never does.
    Lost,
    /// It arrives so many polls later.
    Delayed(u64),
    /// It arrives twice, the second time so many polls later.
    Twice(u64),
}

/// What a CPU has in hardware.
#[derive(Default)]
struct Hardware {
    root: Option<u64>,
    tag: u16,
    /// State of the page that an entry was filled from.
    tlb: BTreeMap<(u16, u64), u64>,
}

/// The machine.
pub struct Host {
    locals: Vec<CpuLocal>,
    cpu: Cell<u32>,
    engine: OnceCell<&'static Shootdown<Host>>,
    hardware: RefCell<Vec<Hardware>>,
    /// State of each page of each root: it grows when the page is unmapped.
    tables: RefCell<BTreeMap<(u64, u64), u64>>,
    /// Polls so far, of all waits.
    now: Cell<u64>,
    /// IPIs in flight: when they arrive, and where.
    under_way: RefCell<Vec<(u64, u32)>>,
    /// What happens to the next IPIs; after these, all arrive.
    pub fate: RefCell<VecDeque<IpiFate>>,
    /// What happens to IPIs when `fate` is used up.
    pub afterwards: Cell<IpiFate>,
    /// CPUs with interrupts off, until so many polls were made.
    pub masked: RefCell<BTreeMap<u32, u64>>,
    /// CPUs that run user code.
    pub active: RefCell<BTreeSet<u32>>,
    /// Who was reported late, at which poll.
    pub stalled: RefCell<Vec<(u32, u64)>>,
    /// IPIs so far.
    pub ipis_sent: Cell<u64>,
    /// Frames given back.
    pub freed: RefCell<Vec<u64>>,
    pub freed_roots: RefCell<Vec<u64>>,
    pub deferred: RefCell<Vec<TeardownHandle<Host>>>,
    /// Which call of which callback panics.
    pub bomb: Cell<Option<(Callback, u64)>>,
    /// The CPU on which it did.
    pub panicked: Cell<u32>,
    /// `irq_save` less `irq_restore`, and pins that are held.
    pub open: Cell<i64>,
    /// What must not have happened.
    pub findings: RefCell<Vec<String>>,
}

// SAFETY: each test's machine is used by one thread.
unsafe impl Sync for Host {}

/// A thread that is kept on its CPU.
pub struct Pinned(&'static Host);

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

// SAFETY: 1. `on` sets the number; 2. a fixed vector; 3. one thread; 4. entries are removed before the return; 5. lost IPIs
// are what these tests are about: after a stall the engine sends another; 6. never done.
unsafe impl Platform for Host {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Host>;
    type Tags = PerCpuSlots<2>;
    type Pin = Pinned;
    const STALL_POLLS: u64 = STALL_POLLS;

    fn pin(&self) -> Pinned {
        let host = self.engine().platform();
        host.may_panic(Callback::Pin);
        host.open.set(host.open.get() + 1);
        Pinned(host)
    }
    fn cpu(&self) -> CpuId {
        CpuId::new(self.cpu.get())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        self.may_panic(Callback::IrqSave);
        self.open.set(self.open.get() + 1);
        true
    }
    fn irq_restore(&self, _: bool) {
        self.open.set(self.open.get() - 1);
    }
    fn tags(&self) -> &PerCpuSlots<2> {
        &PerCpuSlots
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        self.may_panic(Callback::FlushLocal);
        self.here().tlb.retain(|&(tag, page), _| match (what.tag, what.request.range()) {
            (Some(flushed), Some(range)) => tag != flushed.number() || !holds(range, page),
            (Some(flushed), None) => tag != flushed.number(),
            (None, Some(_)) => true,
            (None, None) => false,
        });
    }
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        self.may_panic(Callback::Install);
        let mut cpu = self.here();
        (cpu.root, cpu.tag) = (root, tag.number());
        if how == OnInstall::Flush {
            cpu.tlb.retain(|&(of, _), _| of != tag.number());
        }
    }
    fn send_ipi(&self, cpu: CpuId) {
        self.may_panic(Callback::SendIpi);
        self.ipis_sent.set(self.ipis_sent.get() + 1);
        let fate = self.fate.borrow_mut().pop_front().unwrap_or(self.afterwards.get());
        let send = |later| self.under_way.borrow_mut().push((self.now.get() + later, cpu.number()));
        match fate {
            IpiFate::Arrives => send(0),
            IpiFate::Lost => {}
            IpiFate::Delayed(polls) => send(polls),
            IpiFate::Twice(polls) => {
                send(0);
                send(polls);
            }
        }
    }
    unsafe fn free_root(&self, space: &AddressSpace<Self>) {
        self.may_panic(Callback::FreeRoot);
        let loaded = self.hardware.borrow().iter().any(|cpu| cpu.root == Some(space.root()));
        if loaded || self.freed_roots.borrow().contains(&space.root()) {
            self.find(format!("root {:#x} is freed while loaded, or twice", space.root()));
        }
        self.freed_roots.borrow_mut().push(space.root());
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        self.may_panic(Callback::DeferTeardown);
        self.deferred.borrow_mut().push(teardown.into_handle());
    }
    fn flush_remote(&self, _: RemoteFlush<'_, Self>) -> Remote {
        self.may_panic(Callback::FlushRemote);
        Remote::NeedsIpi
    }
    fn needs_ack(&self, _: CpuId) -> bool {
        self.may_panic(Callback::NeedsAck);
        true
    }
    fn publish_tables(&self) {
        self.may_panic(Callback::PublishTables);
    }
    fn relax(&self, polls: u64) {
        self.may_panic(Callback::Relax);
        assert!(polls < FOR_EVER, "a wait goes on for ever");
        self.poll();
    }
    fn stalled(&self, cpu: CpuId, polls: u64) {
        self.may_panic(Callback::Stalled);
        self.stalled.borrow_mut().push((cpu.number(), polls));
    }
    fn before_offline(&self) {
        self.may_panic(Callback::BeforeOffline);
    }
    fn event(&self, _: Event) {
        self.may_panic(Callback::Event);
    }
}

impl Host {
    pub fn engine(&self) -> &'static Shootdown<Host> {
        self.engine.get().expect("the engine is made first")
    }

    fn may_panic(&self, callback: Callback) {
        let Some((which, left)) = self.bomb.get() else { return };
        if which != callback {
            return;
        }
        self.bomb.set((left > 0).then(|| (which, left.saturating_sub(1))));
        self.panicked.set(self.cpu.get());
        assert!(left > 0, "the platform panics in {callback:?}");
    }

    pub fn find(&self, what: String) {
        self.findings.borrow_mut().push(what);
    }

    fn here(&self) -> std::cell::RefMut<'_, Hardware> {
        std::cell::RefMut::map(self.hardware.borrow_mut(), |cpus| &mut cpus[self.cpu.get() as usize])
    }

    /// The IPI handler of CPU `cpu`.
    pub fn handle_ipi(&self, cpu: u32) {
        // SAFETY: 1. nothing interrupts the thread that plays the CPUs; 2. no call of the engine is at work on this one.
        self.on(cpu, || unsafe { self.engine().handle_ipi() });
    }

    /// Runs `body` as CPU `cpu`.
    pub fn on<R>(&self, cpu: u32, body: impl FnOnce() -> R) -> R {
        let _back = Back(self, self.cpu.replace(cpu));
        body()
    }

    /// Polls so far.
    pub fn polls(&self) -> u64 {
        self.now.get()
    }

    /// Lets a moment pass: IPIs arrive at CPUs that take interrupts.
    pub fn poll(&self) {
        self.now.set(self.now.get() + 1);
        let now = self.now.get();
        self.masked.borrow_mut().retain(|_, until| *until > now);
        let masked = self.masked.borrow().clone();
        let mut due = Vec::new();
        self.under_way.borrow_mut().retain(|&(at, cpu)| {
            let arrives = at < now && !masked.contains_key(&cpu);
            due.extend(arrives.then_some(cpu));
            !arrives
        });
        due.into_iter().for_each(|cpu| self.handle_ipi(cpu));
    }

    fn state(&self, root: u64, page: u64) -> u64 {
        self.tables.borrow().get(&(root, page)).copied().unwrap_or(0)
    }

    /// User code of `cpu` uses a page, or its walker looks ahead: an entry is filled.
    pub fn touch(&self, cpu: u32, page: u64) {
        let mut hardware = self.hardware.borrow_mut();
        let cpu_now = &mut hardware[cpu as usize];
        let Some(root) = cpu_now.root else { return };
        let state = self.state(root, page);
        let used = *cpu_now.tlb.entry((cpu_now.tag, page)).or_insert(state);
        if used != state && self.active.borrow().contains(&cpu) {
            self.find(format!("CPU {cpu} uses what page {page} of {root:#x} was"));
        }
    }

    /// Whether a CPU that runs user code can still reach what a page was.
    fn reachable(&self, frame: &Frame) -> Option<usize> {
        let hardware = self.hardware.borrow();
        hardware.iter().enumerate().position(|(number, cpu)| {
            let runs = cpu.root == Some(frame.root) && self.active.borrow().contains(&(number as u32));
            runs && cpu.tlb.get(&(cpu.tag, frame.page)).is_some_and(|&state| state <= frame.state)
        })
    }

    /// Clears a page-table entry, and returns the frame that it mapped.
    pub fn clear(&'static self, root: u64, page: u64) -> Frame {
        let state = self.state(root, page);
        self.tables.borrow_mut().insert((root, page), state + 1);
        Frame { host: self, root, page, state }
    }

    /// Runs a thread of a space on `cpu`.
    pub fn run(&self, cpu: u32, user: &User) {
        self.active.borrow_mut().remove(&cpu);
        self.on(cpu, || self.engine().switch_to(user));
        self.active.borrow_mut().insert(cpu);
    }

    /// Runs a kernel thread on `cpu`.
    pub fn go_lazy(&self, cpu: u32) {
        self.active.borrow_mut().remove(&cpu);
        self.on(cpu, || self.engine().enter_lazy());
    }

    /// Unmaps a page on `cpu`, and lets go of its frame.
    pub fn unmap(&'static self, cpu: u32, user: &User, page: u64) {
        self.on(cpu, || {
            let mut gather = self.engine().gather::<Frame, 2>(user);
            let frame = self.clear(user.root(), page);
            assert!(gather.unmapped(page_range(page), frame).is_ok(), "there is room for two");
            gather.finish();
        });
    }

    pub fn counters(&self, cpu: u32) -> &Counters {
        self.locals[cpu as usize].counters()
    }

    /// Demands that nothing was found that must not be, and that no CPU is left with interrupts off or pinned.
    #[track_caller]
    pub fn check(&self) {
        assert_eq!(*self.findings.borrow(), Vec::<String>::new());
        assert_eq!(self.open.get(), 0, "interrupts are off, or a thread is pinned");
    }
}

/// Puts the number of the CPU back, by a panic too.
struct Back<'a>(&'a Host, u32);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.0.cpu.set(self.1);
    }
}

/// What a page mapped before it was unmapped.
pub struct Frame {
    host: &'static Host,
    root: u64,
    page: u64,
    state: u64,
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.host.freed.borrow_mut().push(self.page);
        if let Some(cpu) = self.host.reachable(self) {
            self.host.find(format!("the frame of page {} goes while CPU {cpu} reaches it", self.page));
        }
    }
}

pub type User = UserRef<'static, Host>;

fn holds(range: PageRange, page: u64) -> bool {
    let first = range.start().0 >> 12;
    page >= first && page - first < range.count() << (range.size().shift() - 12)
}

pub fn page_range(page: u64) -> PageRange {
    PageRange::page(VirtAddr(page << 12))
}

/// A machine with `cpus` CPUs on line.
pub fn machine(cpus: u32) -> &'static Host {
    let host = Host {
        locals: (0..cpus).map(|_| CpuLocal::new()).collect(),
        cpu: Cell::new(0),
        engine: OnceCell::new(),
        hardware: RefCell::new((0..cpus).map(|_| Hardware::default()).collect()),
        tables: RefCell::default(),
        now: Cell::new(0),
        under_way: RefCell::default(),
        fate: RefCell::default(),
        afterwards: Cell::new(IpiFate::Arrives),
        masked: RefCell::default(),
        active: RefCell::default(),
        stalled: RefCell::default(),
        ipis_sent: Cell::new(0),
        freed: RefCell::default(),
        freed_roots: RefCell::default(),
        deferred: RefCell::default(),
        bomb: Cell::new(None),
        panicked: Cell::new(0),
        open: Cell::new(0),
        findings: RefCell::default(),
    };
    let engine: &'static _ = Box::leak(Box::new(Shootdown::new(host, CpuMask::new())));
    let host = engine.platform();
    assert!(host.engine.set(engine).is_ok());
    (0..cpus).for_each(|cpu| host.on(cpu, || engine.online_cpu()).expect("it fits"));
    host
}

/// A space, with its one user.
pub fn space(host: &'static Host, root: u64) -> User {
    let space = host.engine().new_space(root, CpuMask::new()).expect("the masks are equally large");
    host.engine().register(Box::leak(Box::new(space))).expect("it is new")
}
