//! What a machine consists of, whatever its masks, tags and handles: CPUs, page tables, frames, IPIs on their way, a
//! bomb in one callback, and what must not have happened.

use super::bomb::{Bomb, Callback, EXPLOSION, When};
use shootdown::SpaceId;
use shootdown::flush::{FlushRequest, LocalFlush, PageRange};
use shootdown::tags::{OnInstall, Tag, TagBroadcast};
use shootdown::trace::Event;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Pages that walkers look ahead at.
pub const PAGES: u64 = 2;
/// Key of kernel memory among roots.
const KERNEL: u64 = 0;

/// What happens to an IPI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpiFate {
    /// It arrives with the next poll.
    #[default]
    Arrives,
    /// It never does.
    Lost,
    /// It arrives so many polls later.
    Delayed(u64),
    /// It arrives twice, the second time so many polls later.
    Twice(u64),
}

/// Where a handler that unwinds ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unwinding {
    /// It unwinds the code that it interrupted.
    #[default]
    Propagates,
    /// It is caught, and its CPU recovers some polls later.
    Recovers,
    /// It is caught, and its CPU stays away until its own thread goes on.
    StaysAway,
}

/// What the platform does with a teardown that it is handed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDefer {
    /// Keeps it.
    #[default]
    Keep,
    /// Runs it at once.
    Finish,
    /// Drops it, which it must not.
    Lose,
}

/// What a CPU has in hardware.
#[derive(Default)]
pub struct Hardware {
    pub root: Option<u64>,
    pub tag: u16,
    /// Per tag and page the root that an entry was filled from, and the state of the page then.
    pub tlb: BTreeMap<(u16, u64), (u64, u64)>,
    /// Kernel pages.
    pub kernel: BTreeMap<u64, u64>,
    /// Whether user code runs, or user memory is worked on.
    pub active: bool,
    /// Whether the CPU is on line, as far as its caller knows.
    pub online: bool,
    /// Flushes of everything.
    pub everything: u64,
}

/// What was done, in order; empty unless it is [recorded](State::records).
#[derive(Default)]
pub struct Log {
    /// The CPU, and what it flushed.
    pub flushes: Vec<(u32, LocalFlush)>,
    /// The CPU, and the root that it loaded.
    pub installs: Vec<(u32, Option<u64>)>,
    pub events: Vec<Event>,
    /// At each acknowledgement of a flush: the CPU, and how many flushes had been carried out.
    pub caught_up: Vec<(u32, usize)>,
    /// At each time that page-table stores were handed to walkers: how many IPIs were on their way.
    pub published: Vec<usize>,
    /// Before each post to the device: how often that was done, and the generation of the space.
    pub posts: Vec<(usize, Option<u64>)>,
    /// When a gather had recorded all, and when it was complete: the root of its space, or nothing; and how many
    /// flushes had been carried out.
    pub gathers: Vec<(Option<u64>, usize)>,
    /// Flushes that were left to a CPU's entry: the CPU, the space or nothing, and what is flushed.
    pub deferred: Vec<(u32, Option<SpaceId>, FlushRequest)>,
    /// Whom the latest flush found in the mask.
    pub targets: BTreeSet<u32>,
}

/// A device that shares page tables, and its queue.
#[derive(Default)]
pub struct Device {
    /// Root of the space that it shares; it is told of nothing else but kernel memory.
    pub shares: Cell<Option<u64>>,
    /// What it was asked to drop, with the IPIs that were pending by then.
    pub posted: RefCell<Vec<(FlushRequest, usize)>>,
    /// Of which root that was.
    roots: RefCell<Vec<u64>>,
    /// How far it has worked its queue off.
    pub done: Cell<u64>,
    /// The poll of a wait at which it has worked off everything.
    pub answers_at: Cell<u64>,
    /// Positions that were reported late, and at which poll.
    pub late: RefCell<Vec<(u64, u64)>>,
    /// What happens at the next poll of a wait, or as a CPU says that it goes off line.
    pub meanwhile: RefCell<Option<Box<dyn FnOnce()>>>,
    /// Per root and page the state of the page that it holds, where walkers look ahead.
    tlb: RefCell<BTreeMap<(u64, u64), u64>>,
}

impl Device {
    /// Works off everything that was posted.
    pub fn work_off(&self) {
        let (posted, roots) = (self.posted.borrow(), self.roots.borrow());
        for ((request, _), root) in posted.iter().zip(&*roots).skip(self.done.get() as usize) {
            let stays = |of, page| of != *root || request.range().is_some_and(|range| !holds(range, page));
            self.tlb.borrow_mut().retain(|&(of, page), _| stays(of, page));
        }
        self.done.set(posted.len() as u64);
    }

    /// Leaves the space that it shares, and holds nothing of it afterwards.
    pub fn leave(&self) {
        self.shares.set(None);
        self.tlb.borrow_mut().clear();
    }
}

/// The machine.
#[derive(Default)]
pub struct State {
    pub cpu: Cell<u32>,
    pub hardware: RefCell<Vec<Hardware>>,
    /// State of each page of each root: it grows when the page is unmapped.
    tables: RefCell<BTreeMap<(u64, u64), u64>>,
    /// Frames that were given back: root, page and state.
    pub freed: RefCell<BTreeSet<(u64, u64, u64)>>,
    /// Roots that were freed.
    pub freed_roots: RefCell<Vec<u64>>,
    /// Identities of spaces whose memory is gone.
    pub gone: RefCell<BTreeSet<u64>>,

    /// Polls so far, of all waits.
    now: Cell<u64>,
    /// IPIs on their way: when they arrive, and where.
    under_way: RefCell<Vec<(u64, u32)>>,
    /// What happens to the next IPIs.
    pub fate: RefCell<VecDeque<IpiFate>>,
    /// What happens to IPIs when `fate` is used up.
    pub afterwards: Cell<IpiFate>,
    /// CPUs with interrupts off, until so many polls were made.
    pub masked: RefCell<BTreeMap<u32, u64>>,
    /// CPUs that were reported late, at which poll.
    pub stalled: RefCell<Vec<(u32, u64)>>,
    /// IPIs so far.
    pub ipis_sent: Cell<u64>,
    /// The CPU that the platform answers for.
    pub answered_for: Cell<Option<u32>>,
    /// The CPU that does not run, and flushes everything when it does if it is told so: it is answered for from then
    /// on.
    pub preempted: Cell<Option<u32>>,
    /// Whether broadcasts under a tag are left to IPIs.
    pub refuses: Cell<bool>,

    pub device: Device,

    bomb: Cell<Option<Bomb>>,
    /// Whether calls of callbacks are counted, and bombs go off.
    counts: Cell<bool>,
    /// Whether walkers look ahead at each callback.
    pub walks: Cell<bool>,
    /// Calls of each callback since this was last cleared.
    pub calls: RefCell<BTreeMap<Callback, u64>>,
    /// The CPU on which the bomb went off.
    pub exploded: Cell<Option<u32>>,
    pub unwinding: Cell<Unwinding>,
    pub on_defer: Cell<OnDefer>,
    /// `irq_save` less `irq_restore`, and pins that are held.
    pub open: Cell<i64>,

    /// Flushes of one tag or of pages, of all CPUs, installs that flush included.
    pub partial: Cell<u64>,
    /// Broadcasts to all tags.
    pub broadcasts: Cell<u64>,
    /// Whether the log is kept.
    pub records: Cell<bool>,
    pub log: RefCell<Log>,
    /// What must not have happened.
    pub findings: RefCell<Vec<String>>,
}

// SAFETY: each machine is used by one thread.
unsafe impl Sync for State {}

impl State {
    /// Makes one with so many CPUs, none of them on line.
    pub fn new(cpus: u32) -> &'static Self {
        let hardware = (0..cpus).map(|_| Hardware::default()).collect();
        Box::leak(Box::new(Self { hardware: RefCell::new(hardware), ..Self::default() }))
    }

    pub fn cpus(&self) -> u32 {
        self.hardware.borrow().len() as u32
    }

    /// Notes what must not have happened, and stops the test. Where callbacks unwind, [`check`](Self::check) does so
    /// later.
    pub fn find(&self, what: String) {
        self.findings.borrow_mut().push(what.clone());
        assert!(self.counts.get() || std::thread::panicking(), "{what}");
    }

    /// Demands that nothing was found that must not be, and that no CPU is left with interrupts off or pinned.
    #[track_caller]
    pub fn check(&self) {
        assert_eq!(*self.findings.borrow(), Vec::<String>::new());
        assert_eq!(self.open.get(), 0, "interrupts are off, or a thread is pinned");
    }

    pub fn here(&self) -> RefMut<'_, Hardware> {
        self.hardware_of(self.cpu.get())
    }

    pub fn hardware_of(&self, cpu: u32) -> RefMut<'_, Hardware> {
        RefMut::map(self.hardware.borrow_mut(), |cpus| &mut cpus[cpu as usize])
    }

    /// Runs `body` as CPU `cpu`.
    pub fn on<R>(&self, cpu: u32, body: impl FnOnce() -> R) -> R {
        struct Back<'a>(&'a State, u32);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.cpu.set(self.1);
            }
        }
        let _back = Back(self, self.cpu.replace(cpu));
        body()
    }

    /// The tag under which `cpu` runs.
    pub fn tag(&self, cpu: u32) -> u16 {
        self.hardware_of(cpu).tag
    }
}

/// Bombs.
impl State {
    /// Has the `nth` call of `callback` unwind before it does its work.
    pub fn break_at(&self, callback: Callback, nth: u64) {
        self.arm(Some(Bomb { callback, nth, when: When::Before }));
    }

    pub fn arm(&self, bomb: Option<Bomb>) {
        self.calls.borrow_mut().clear();
        self.counts.set(true);
        self.bomb.set(bomb);
    }

    /// Counts a call, lets page walkers look ahead, and panics if this is the call. Once.
    pub fn calls(&self, callback: Callback, when: When) {
        // Under Miri walkers look ahead when a CPU uses its pages, which is rarer.
        if when == When::Before && self.walks.get() && cfg!(not(miri)) {
            self.walk();
        }
        if !self.counts.get() {
            return;
        }
        if when == When::Before {
            *self.calls.borrow_mut().entry(callback).or_insert(0) += 1;
        }
        let Some(bomb) = self.bomb.get() else { return };
        let calls = self.calls.borrow().get(&callback).copied().unwrap_or(0);
        if (bomb.callback, bomb.when, bomb.nth + 1) == (callback, when, calls) {
            self.bomb.set(None);
            self.exploded.set(Some(self.cpu.get()));
            // Without the hook, which would print thousands of them.
            std::panic::resume_unwind(Box::new(format!("{EXPLOSION} in {callback:?}")));
        }
    }

    /// As [`calls`](Self::calls) for what has one moment: after its work.
    pub fn ends(&self, callback: Callback) {
        if self.counts.get() {
            *self.calls.borrow_mut().entry(callback).or_insert(0) += 1;
            self.calls(callback, When::After);
        }
    }

    /// Runs the work of a callback.
    pub fn around<R>(&self, callback: Callback, body: impl FnOnce() -> R) -> R {
        self.calls(callback, When::Before);
        let answer = body();
        self.calls(callback, When::After);
        answer
    }
}

/// IPIs.
impl State {
    pub fn send_ipi(&self, cpu: u32) {
        self.ipis_sent.set(self.ipis_sent.get() + 1);
        let fate = self.fate.borrow_mut().pop_front().unwrap_or(self.afterwards.get());
        let send = |later| self.under_way.borrow_mut().push((self.now.get() + later, cpu));
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

    /// Where IPIs are on their way to.
    pub fn pending_ipis(&self) -> Vec<u32> {
        self.under_way.borrow().iter().map(|&(_, cpu)| cpu).collect()
    }

    pub fn lose_pending_ipis(&self) {
        self.under_way.borrow_mut().clear();
    }

    /// Polls so far.
    pub fn polls(&self) -> u64 {
        self.now.get()
    }

    /// Lets a moment pass: returns at which CPUs that take interrupts an IPI arrives.
    pub fn arrivals(&self) -> Vec<u32> {
        self.now.set(self.now.get() + 1);
        let now = self.now.get();
        let mut masked = self.masked.borrow_mut();
        masked.retain(|_, until| *until > now);
        let mut due = Vec::new();
        self.under_way.borrow_mut().retain(|&(at, cpu)| {
            let arrives = at < now && !masked.contains_key(&cpu);
            due.extend(arrives.then_some(cpu));
            !arrives
        });
        due
    }
}

/// Translations.
impl State {
    /// Drops translations of the CPU that runs.
    pub fn flush(&self, what: LocalFlush) {
        let mut cpu = self.here();
        match (what.tag, what.request.range()) {
            (Some(tag), range) => {
                cpu.tlb.retain(|&(of, page), _| {
                    of != tag.number() || range.is_some_and(|range| !holds(range, page))
                });
                self.partial.set(self.partial.get() + 1);
            }
            (None, Some(range)) => cpu.kernel.retain(|&page, _| !holds(range, page)),
            (None, None) => {
                cpu.tlb.clear();
                cpu.kernel.clear();
                cpu.everything += 1;
            }
        }
    }

    /// Drops a tag on all CPUs.
    pub fn broadcast(&self, tag: Tag) {
        self.hardware
            .borrow_mut()
            .iter_mut()
            .for_each(|cpu| cpu.tlb.retain(|&(of, _), _| of != tag.number()));
    }

    /// Loads a root on the CPU that runs.
    pub fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        if root.is_some_and(|root| self.freed_roots.borrow().contains(&root)) {
            self.find(format!("root {root:x?} is loaded, which was freed"));
        }
        let mut cpu = self.here();
        (cpu.root, cpu.tag) = (root, tag.number());
        if how == OnInstall::Flush {
            cpu.tlb.retain(|&(of, _), _| of != tag.number());
            self.partial.set(self.partial.get() + 1);
        }
    }

    pub fn free_root(&self, root: u64) {
        if self.hardware.borrow().iter().any(|cpu| cpu.root == Some(root)) {
            self.find(format!("root {root:#x} is freed while it is loaded"));
        }
        if self.freed_roots.borrow().contains(&root) {
            self.find(format!("root {root:#x} is freed twice"));
        }
        self.freed_roots.borrow_mut().push(root);
    }

    fn state(&self, root: u64, page: u64) -> u64 {
        self.tables.borrow().get(&(root, page)).copied().unwrap_or(0)
    }

    /// User code of `cpu` uses a page, or its walker looks ahead: an entry is filled. User code must reach no frame
    /// that was given back. Where a flush unwound, its frames are lost, and old translations of them harm nobody.
    pub fn touch(&self, cpu: u32, page: u64) {
        let mut hardware = self.hardware_of(cpu);
        let Some(root) = hardware.root else { return };
        let (tag, now) = (hardware.tag, self.state(root, page));
        let (from, state) = *hardware.tlb.entry((tag, page)).or_insert((root, now));
        let stale = from != root || state != now && self.freed.borrow().contains(&(root, page, state));
        if stale && hardware.active {
            self.find(format!("CPU {cpu} in {root:#x} uses page {page:#x}, state {state}, of {from:#x}"));
        }
    }

    /// Every CPU that has the root loaded uses a page of it, or looks ahead.
    pub fn touch_where_loaded(&self, root: u64, page: u64) {
        let loaded = |cpu: &u32| self.hardware_of(*cpu).root == Some(root);
        (0..self.cpus()).filter(loaded).for_each(|cpu| self.touch(cpu, page));
    }

    /// Has the device drop what a flush covers of a root, or of kernel memory, if it shares that.
    pub fn post(&self, root: Option<u64>, request: FlushRequest) -> u64 {
        if root.is_some() && root != self.device.shares.get() {
            return 0;
        }
        let mut posted = self.device.posted.borrow_mut();
        posted.push((request, self.pending_ipis().len()));
        self.device.roots.borrow_mut().push(root.unwrap_or(KERNEL));
        posted.len() as u64
    }

    /// The page walkers of all CPUs, and of the device, fill what is not there.
    fn walk(&self) {
        if let Some(root) = self.device.shares.get() {
            if self.freed_roots.borrow().contains(&root) {
                self.find(format!("the device walks root {root:#x}, which was freed"));
            }
            for (root, page) in (0..PAGES).flat_map(|page| [(root, page), (KERNEL, page)]) {
                self.device.tlb.borrow_mut().entry((root, page)).or_insert(self.state(root, page));
            }
        }
        for (number, cpu) in self.hardware.borrow_mut().iter_mut().enumerate() {
            for page in 0..PAGES {
                if let Some(root) = cpu.root {
                    if self.freed_roots.borrow().contains(&root) {
                        self.find(format!("CPU {number} walks root {root:#x}, which was freed"));
                    }
                    let now = (root, self.state(root, page));
                    cpu.tlb.entry((cpu.tag, page)).or_insert(now);
                }
                if cpu.online {
                    cpu.kernel.entry(page).or_insert(self.state(KERNEL, page));
                }
            }
        }
    }

    /// User code of `cpu` uses the pages that walkers look at, and its kernel those of the kernel.
    pub fn touch_all(&self, cpu: u32) {
        self.walk();
        for page in 0..PAGES {
            self.touch(cpu, page);
            let hardware = self.hardware_of(cpu);
            let kernel = hardware.kernel.get(&page).filter(|_| hardware.online);
            if kernel.is_some_and(|&state| self.freed.borrow().contains(&(KERNEL, page, state))) {
                self.find(format!("CPU {cpu} uses kernel page {page} after it was freed"));
            }
        }
    }

    /// Clears a page-table entry, and returns the frame that it mapped.
    pub fn clear(&'static self, root: u64, page: u64) -> Frame {
        let state = self.state(root, page);
        self.tables.borrow_mut().insert((root, page), state + 1);
        Frame { machine: self, which: (root, page, state) }
    }

    /// The same for a page of the kernel.
    pub fn clear_kernel(&'static self, page: u64) -> Frame {
        self.clear(KERNEL, page)
    }

    /// Pages whose frames were given back.
    pub fn freed_pages(&self) -> Vec<u64> {
        self.freed.borrow().iter().map(|&(_, page, _)| page).collect()
    }

    /// The memory of a space goes.
    pub fn goes(&self, id: u64, root: u64) {
        if self.hardware.borrow().iter().any(|cpu| cpu.root == Some(root)) {
            self.find(format!("the memory of space {id} goes while it is loaded"));
        }
        self.gone.borrow_mut().insert(id);
    }

    pub fn uses(&self, id: u64, what: &str) {
        if self.gone.borrow().contains(&id) {
            self.find(format!("{what} of space {id}, whose memory is gone"));
        }
    }
}

fn holds(range: PageRange, page: u64) -> bool {
    let first = range.start().0 >> 12;
    page >= first && page - first < range.count() << (range.size().shift() - 12)
}

/// What a page mapped before it was unmapped.
pub struct Frame {
    machine: &'static State,
    which: (u64, u64, u64),
}

impl Frame {
    /// Whether code that runs on a CPU can still reach it.
    fn is_reachable_by(&self, cpu: &Hardware) -> bool {
        let (root, page, state) = self.which;
        if root == KERNEL {
            return cpu.online && cpu.kernel.get(&page).is_some_and(|&held| held <= state);
        }
        let held = cpu.tlb.get(&(cpu.tag, page)).filter(|_| cpu.active && cpu.root == Some(root));
        held.is_some_and(|&(from, held)| from == root && held <= state)
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.machine.around(Callback::FrameDrop, || {
            self.machine.freed.borrow_mut().insert(self.which);
            let cpus = self.machine.hardware.borrow();
            if let Some(cpu) = cpus.iter().position(|cpu| self.is_reachable_by(cpu)) {
                self.machine.find(format!("frame {:x?} goes while CPU {cpu} reaches it", self.which));
            }
            let (root, page, state) = self.which;
            if self.machine.device.tlb.borrow().get(&(root, page)).is_some_and(|&held| held <= state) {
                self.machine.find(format!("frame {:x?} goes while the device reaches it", self.which));
            }
        });
    }
}

/// A broadcast to all TLBs.
pub struct Everywhere(pub &'static State);

// SAFETY: 1. the model's TLBs are emptied, or it does not return.
unsafe impl TagBroadcast for Everywhere {
    fn flush_all_tags(&self) {
        self.0.around(Callback::Broadcast, || {
            self.0.hardware.borrow_mut().iter_mut().for_each(|cpu| cpu.tlb.clear());
            self.0.broadcasts.set(self.0.broadcasts.get() + 1);
        });
    }
}
