//! Any order of calls on a machine of soft TLBs: no access finds a translation that a finished gather has covered, every
//! frame comes back once and no sooner, and masks name exactly the CPUs that have a root loaded.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shootdown::flush::{FlushRequest, Full, LocalFlush, PageRange, PageSize, Remote, RemoteFlush, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::{Teardown, UserRef};
use shootdown::tags::{OnInstall, PerCpuSlots, Tag};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, EngineError, Platform, Shootdown};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// The CPUs that do anything: on both sides of a word of the mask.
const CPUS: [u32; 5] = [0, 1, 63, 64, 69];
const SPACES: usize = 4;
/// Pages below and at the top of the address space.
const LOW: u64 = 48;
const TOP: u64 = (1 << 52) - 4;

/// What a CPU has in hardware.
#[derive(Default)]
struct Hardware {
    root: Option<u64>,
    tag: u16,
    /// Version of the page that an entry was filled with.
    tlb: BTreeMap<(u16, u64), u64>,
}

struct Host {
    locals: Vec<CpuLocal>,
    cpu: Cell<u32>,
    engine: OnceCell<&'static Shootdown<Host>>,
    hardware: RefCell<BTreeMap<u32, Hardware>>,
    /// Version of each page of each root: it grows when the page is unmapped.
    tables: RefCell<BTreeMap<(u64, u64), u64>>,
    pending_ipis: RefCell<Vec<u32>>,
    /// CPUs that run user code, or work on user memory.
    active: RefCell<BTreeSet<u32>>,
    /// Whom the latest flush found in the mask.
    targets: RefCell<BTreeSet<u32>>,
    frames_out: Cell<u64>,
}

// SAFETY: each test's machine is used by one thread.
unsafe impl Sync for Host {}

// SAFETY: 1. `on` sets the number; 2. a fixed vector; 3. one thread; 4. entries are removed before the return; 5. the target
// of an IPI handles it when a waiter relaxes, or between two calls; 6. never done.
unsafe impl Platform for Host {
    type Root = u64;
    type Mask = CpuMask<2>;
    type Handle = &'static AddressSpace<Host>;
    type Tags = PerCpuSlots<2>;
    type Pin = ();
    const STALL_POLLS: u64 = 4;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(self.cpu.get())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    fn tags(&self) -> &PerCpuSlots<2> {
        &PerCpuSlots
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        self.here(|cpu| {
            cpu.tlb.retain(|&(tag, page), _| match (what.tag, what.request.range()) {
                (Some(flushed), Some(range)) => tag != flushed.number() || !holds(range, page),
                (Some(flushed), None) => tag != flushed.number(),
                (None, Some(_)) => true,
                (None, None) => false,
            });
        });
    }
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        self.here(|cpu| {
            (cpu.root, cpu.tag) = (root, tag.number());
            if how == OnInstall::Flush {
                cpu.tlb.retain(|&(of, _), _| of != tag.number());
            }
        });
    }
    fn send_ipi(&self, cpu: CpuId) {
        self.pending_ipis.borrow_mut().push(cpu.number());
    }
    unsafe fn free_root(&self, _: &AddressSpace<Self>) {}
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let _ = teardown.into_handle();
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        let mut targets = BTreeSet::new();
        what.for_each_target(|first, bits| {
            targets.extend((0..64).filter(|bit| bits >> bit & 1 == 1).map(|bit| first.number() + bit));
        });
        self.targets.replace(targets);
        Remote::NeedsIpi
    }
    fn relax(&self, _: u64) {
        self.answer();
    }
}

impl Host {
    fn here<R>(&self, body: impl FnOnce(&mut Hardware) -> R) -> R {
        body(self.hardware.borrow_mut().entry(self.cpu.get()).or_default())
    }

    fn on<R>(&self, cpu: u32, body: impl FnOnce() -> R) -> R {
        let before = self.cpu.replace(cpu);
        let answer = body();
        self.cpu.set(before);
        answer
    }

    /// Every CPU with a pending IPI handles it.
    fn answer(&self) {
        for cpu in self.pending_ipis.take() {
            // SAFETY: 1. nothing interrupts the thread that plays the CPUs; 2. no call is at work on this one.
            self.on(cpu, || unsafe { self.engine.get().expect("made first").handle_ipi() });
        }
    }

    fn version(&self, root: u64, page: u64) -> u64 {
        self.tables.borrow().get(&(root, page)).copied().unwrap_or(0)
    }

    /// User code of this CPU uses a page.
    fn touch(&self, page: u64) {
        self.here(|cpu| {
            let version = self.version(cpu.root.expect("a root is loaded"), page);
            let used = *cpu.tlb.entry((cpu.tag, page)).or_insert(version);
            assert_eq!(used, version, "CPU {} uses what page {page:#x} was", self.cpu.get());
        });
    }

    /// The walker of this CPU fills an entry for a page, whoever runs.
    fn speculate(&self, page: u64) {
        self.here(|cpu| {
            if let Some(root) = cpu.root {
                cpu.tlb.entry((cpu.tag, page)).or_insert_with(|| self.version(root, page));
            }
        });
    }
}

fn holds(range: PageRange, page: u64) -> bool {
    let first = range.start().0 >> 12;
    page >= first && page - first < range.count() << (range.size().shift() - 12)
}

/// What a page mapped before it was unmapped.
struct Frame {
    host: &'static Host,
    root: u64,
    page: u64,
    version: u64,
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.host.frames_out.set(self.host.frames_out.get() - 1);
        for (number, cpu) in &*self.host.hardware.borrow() {
            let usable = self.host.active.borrow().contains(number) && cpu.root == Some(self.root);
            let held = cpu.tlb.get(&(cpu.tag, self.page));
            assert!(
                !usable || held.is_none_or(|&version| version > self.version),
                "CPU {number} reaches a frame"
            );
        }
    }
}

/// What a CPU does.
#[derive(Clone, Debug)]
enum Act {
    Switch(usize),
    Lazy,
    Leave,
    Touch(u64),
    Speculate(u64),
    Borrow(usize, u64),
    Temporary(usize, u64),
    Unmap(usize, Vec<(u64, u64)>),
    FlushAll(usize),
    Offline,
    Online,
    Answer,
}

fn page() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..LOW, 1 => TOP..TOP + 4]
}

fn act() -> impl Strategy<Value = Act> {
    let runs =
        (page(), 1_u64..6).prop_map(|(page, count)| if page < TOP { (page, count) } else { (page, 1) });
    prop_oneof![
        6 => (0..SPACES).prop_map(Act::Switch),
        2 => Just(Act::Lazy),
        1 => Just(Act::Leave),
        8 => page().prop_map(Act::Touch),
        3 => page().prop_map(Act::Speculate),
        2 => (0..SPACES, page()).prop_map(|(space, page)| Act::Borrow(space, page)),
        1 => (0..SPACES, page()).prop_map(|(space, page)| Act::Temporary(space, page)),
        5 => (0..SPACES, prop::collection::vec(runs, 1..7)).prop_map(|(space, runs)| Act::Unmap(space, runs)),
        1 => (0..SPACES).prop_map(Act::FlushAll),
        1 => Just(Act::Offline),
        2 => Just(Act::Online),
        1 => Just(Act::Answer),
    ]
}

/// A machine and its spaces.
struct World {
    host: &'static Host,
    engine: &'static Shootdown<Host>,
    users: Vec<UserRef<'static, Host>>,
    online: BTreeSet<u32>,
}

impl World {
    fn new() -> Self {
        let host = Host {
            locals: (0..70).map(|_| CpuLocal::new()).collect(),
            cpu: Cell::new(0),
            engine: OnceCell::new(),
            hardware: RefCell::default(),
            tables: RefCell::default(),
            pending_ipis: RefCell::default(),
            active: RefCell::default(),
            targets: RefCell::default(),
            frames_out: Cell::new(0),
        };
        let engine: &'static _ = Box::leak(Box::new(Shootdown::new(host, CpuMask::new())));
        assert!(engine.platform().engine.set(engine).is_ok());
        let make = |root: u64| {
            let space = engine.new_space(root, CpuMask::new()).expect("the masks are equally large");
            engine.register(Box::leak(Box::new(space))).expect("new")
        };
        let users = (0..SPACES as u64).map(|number| make(0x1000 + number)).collect();
        let mut world = Self { host: engine.platform(), engine, users, online: BTreeSet::new() };
        CPUS.into_iter().for_each(|cpu| world.run(cpu, &Act::Online));
        world
    }

    fn run(&mut self, cpu: u32, act: &Act) {
        let host = self.host;
        host.on(cpu, || match (act, self.online.contains(&cpu)) {
            (Act::Online, false) => {
                self.engine.online_cpu().expect("it fits");
                self.online.insert(cpu);
            }
            (Act::Answer, _) => host.answer(),
            (Act::Online, true) | (_, false) => {}
            (Act::Offline, true) => {
                self.set_active(cpu, false);
                self.engine.enter_lazy();
                self.engine.offline_cpu();
                self.online.remove(&cpu);
            }
            (act, true) => self.run_online(cpu, act),
        });
    }

    fn run_online(&self, cpu: u32, act: &Act) {
        let (host, engine) = (self.host, self.engine);
        match act {
            Act::Switch(space) => {
                engine.switch_to(&self.users[*space]);
                self.set_active(cpu, true);
            }
            Act::Lazy => {
                self.set_active(cpu, false);
                engine.enter_lazy();
            }
            Act::Leave => {
                self.set_active(cpu, false);
                engine.enter_lazy();
                engine.leave();
            }
            Act::Touch(page) if self.is_active(cpu) => host.touch(*page),
            Act::Touch(page) | Act::Speculate(page) => host.speculate(*page),
            Act::Borrow(space, page) => self.borrow(cpu, &self.users[*space], *page),
            // SAFETY: 1. the users live as long as the machine.
            Act::Temporary(space, page) => unsafe {
                engine.with_temporary_space(&self.users[*space], || host.touch(*page));
            },
            Act::Unmap(space, runs) => self.unmap(&self.users[*space], runs),
            Act::FlushAll(space) => {
                engine.flush(&self.users[*space], FlushRequest::all());
                self.check_mask(&self.users[*space]);
            }
            Act::Offline | Act::Online | Act::Answer => {}
        }
    }

    fn borrow(&self, cpu: u32, user: &UserRef<'static, Host>, page: u64) {
        match self.engine.borrow(user) {
            Ok(_borrow) => {
                assert!(!self.is_active(cpu), "a user thread borrowed");
                self.host.touch(page);
            }
            Err(refused) => {
                assert!(self.is_active(cpu), "a kernel thread was refused");
                assert_eq!(refused, EngineError::NotAKernelThread(CpuId::new(cpu)));
            }
        }
    }

    /// Unmaps runs of pages, as many to a gather as there is room for.
    fn unmap(&self, user: &UserRef<'static, Host>, runs: &[(u64, u64)]) {
        let (host, root) = (self.host, user.root());
        let mut gather = self.engine.gather::<Vec<Frame>, 4>(user);
        for &(first, count) in runs {
            let frames = (first..first + count).map(|page| self.clear(root, page)).collect();
            let range = PageRange::new(VirtAddr(first << 12), count, PageSize::Size4K).expect("it fits");
            if let Err(Full(frames)) = gather.unmapped(range, frames) {
                gather.finish();
                gather = self.engine.gather(user);
                gather.unmapped(range, frames).expect("it is empty");
            }
        }
        assert!(host.frames_out.get() > 0);
        gather.finish();
        assert_eq!(host.frames_out.get(), 0, "a frame is lost");
        self.check_mask(user);
    }

    fn clear(&self, root: u64, page: u64) -> Frame {
        let host = self.host;
        host.frames_out.set(host.frames_out.get() + 1);
        let version = host.version(root, page);
        host.tables.borrow_mut().insert((root, page), version + 1);
        Frame { host, root, page, version }
    }

    /// The flush that was just made saw in the mask exactly those who had the root loaded then; flushing tables kept takes
    /// nobody out.
    fn check_mask(&self, user: &UserRef<'static, Host>) {
        let hardware = self.host.hardware.borrow();
        let loaded =
            hardware.iter().filter(|(_, cpu)| cpu.root == Some(user.root())).map(|(number, _)| *number);
        assert_eq!(*self.host.targets.borrow(), loaded.collect::<BTreeSet<_>>());
    }

    fn is_active(&self, cpu: u32) -> bool {
        self.host.active.borrow().contains(&cpu)
    }

    fn set_active(&self, cpu: u32, active: bool) {
        let mut all = self.host.active.borrow_mut();
        if active {
            all.insert(cpu)
        } else {
            all.remove(&cpu)
        };
    }
}

/// Most calls of a case.
const ACTS: usize = if cfg!(miri) { 12 } else { 200 };

proptest! {
    // The same cases in every run.
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 512 },
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_order_of_calls_lets_a_cpu_use_what_was_unmapped(
        acts in prop::collection::vec((prop::sample::select(&CPUS), act()), 1..ACTS),
    ) {
        let mut world = World::new();
        for (cpu, act) in &acts {
            world.run(*cpu, act);
        }
        world.host.answer();
        // Whatever each CPU still holds, it may come back to any space and use any page.
        for cpu in CPUS {
            world.run(cpu, &Act::Online);
            for space in 0..SPACES {
                world.run(cpu, &Act::Switch(space));
                (0..LOW).chain(TOP..TOP + 4).for_each(|page| world.run(cpu, &Act::Touch(page)));
            }
            world.run(cpu, &Act::Leave);
        }
        for user in world.users.drain(..) {
            let teardown = user.put().expect("the only user");
            teardown.finish();
        }
        prop_assert!(world.host.hardware.borrow().values().all(|cpu| cpu.root.is_none()));
    }
}
