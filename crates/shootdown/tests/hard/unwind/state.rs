//! What the machine of these tests consists of, whatever its tags: CPUs, page tables, frames, and a bomb in one callback.

use shootdown::mask::{CpuMask, MaskStore, MaskSummary, MaskWord};
use shootdown::tags::TagBroadcast;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

pub const CPUS: u32 = 3;
pub const PAGES: u64 = 2;
/// Key of kernel memory among roots and tags.
const KERNEL: u64 = 0;

/// What of the embedder's the engine calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Callback {
    Pin,
    PinDrop,
    Cpu,
    Local,
    IrqSave,
    IrqRestore,
    Tags,
    FlushLocal,
    Install,
    SendIpi,
    FreeRoot,
    DeferTeardown,
    FlushRemote,
    NeedsAck,
    Defer,
    PublishTables,
    Relax,
    Stalled,
    BeforeOffline,
    Gathered,
    Released,
    Event,
    TagNewSpace,
    TagAssign,
    TagOnSwitchOut,
    TagOnUnload,
    TagFlushed,
    TagReassigned,
    TagFlushMethod,
    TagRetire,
    TagShare,
    Broadcast,
    MaskWords,
    MaskSummary,
    HandleClone,
    HandleSpace,
    HandleDrop,
    FrameDrop,
    Closure,
}

/// Whether a callback unwinds before it does its work or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// The call that unwinds: the how many-th of which callback.
#[derive(Clone, Copy, Debug)]
pub struct Bomb {
    pub callback: Callback,
    pub nth: u64,
    pub when: When,
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
    /// Whether user code runs.
    pub active: bool,
    /// Whether the CPU is on line, as far as its caller knows.
    pub online: bool,
}

/// The machine.
#[derive(Default)]
pub struct State {
    pub cpu: Cell<u32>,
    pub hardware: RefCell<Vec<Hardware>>,
    /// State of each page of each root: it grows when the page is unmapped.
    tables: RefCell<BTreeMap<(u64, u64), u64>>,
    /// Frames that were given back: root, page and state.
    freed: RefCell<BTreeSet<(u64, u64, u64)>>,
    /// Roots that were freed.
    pub freed_roots: RefCell<BTreeSet<u64>>,
    /// Identities of spaces whose memory is gone.
    pub gone: RefCell<BTreeSet<u64>>,
    pub pending_ipis: RefCell<Vec<u32>>,
    /// CPUs that take no interrupts.
    pub masked: RefCell<BTreeSet<u32>>,
    bomb: Cell<Option<Bomb>>,
    /// Calls of each callback since this was last cleared.
    pub calls: RefCell<BTreeMap<Callback, u64>>,
    /// The CPU on which the bomb went off.
    pub exploded: Cell<Option<u32>>,
    /// Whether the CPU on which it did stays away until its own thread goes on.
    pub stays_away: Cell<bool>,
    /// `irq_save` less `irq_restore`, and pins that are held.
    pub open: Cell<i64>,
    /// What must not have happened. Collected, as it may come up while a panic unwinds.
    pub findings: RefCell<Vec<String>>,
}

// SAFETY: each machine is used by one thread.
unsafe impl Sync for State {}

impl State {
    pub fn new() -> &'static Self {
        let hardware = (0..CPUS).map(|_| Hardware::default()).collect();
        Box::leak(Box::new(Self { hardware: RefCell::new(hardware), ..Self::default() }))
    }

    pub fn find(&self, what: String) {
        self.findings.borrow_mut().push(what);
    }

    pub fn arm(&self, bomb: Option<Bomb>) {
        self.calls.borrow_mut().clear();
        self.bomb.set(bomb);
    }

    /// Counts a call, lets page walkers look ahead, and panics if this is the call. Once.
    pub fn calls(&self, callback: Callback, when: When) {
        if when == When::Before {
            *self.calls.borrow_mut().entry(callback).or_insert(0) += 1;
            // Under Miri walkers look ahead when a CPU uses its pages, which is rarer.
            if cfg!(not(miri)) {
                self.walk();
            }
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
        *self.calls.borrow_mut().entry(callback).or_insert(0) += 1;
        self.calls(callback, When::After);
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

    fn state(&self, root: u64, page: u64) -> u64 {
        self.tables.borrow().get(&(root, page)).copied().unwrap_or(0)
    }

    /// The page walkers of all CPUs fill what is not there.
    fn walk(&self) {
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

    /// User code of `cpu` uses its pages, and its kernel those of the kernel.
    pub fn touch(&self, cpu: u32) {
        self.walk();
        let hardware = &self.hardware.borrow()[cpu as usize];
        let freed = self.freed.borrow();
        for page in 0..PAGES {
            if let Some(root) = hardware.root.filter(|_| hardware.active) {
                let (from, state) = hardware.tlb[&(hardware.tag, page)];
                if from != root || freed.contains(&(from, page, state)) {
                    self.find(format!(
                        "CPU {cpu} in {root:#x} uses page {page}, state {state}, of {from:#x}"
                    ));
                }
            }
            if hardware.online && freed.contains(&(KERNEL, page, hardware.kernel[&page])) {
                self.find(format!("CPU {cpu} uses kernel page {page} after it was freed"));
            }
        }
    }

    /// Clears a page-table entry, and returns the frame that it mapped.
    pub fn clear(&'static self, root: u64, page: u64) -> Frame {
        let state = self.state(root, page);
        self.tables.borrow_mut().insert((root, page), state + 1);
        Frame { state: self, which: (root, page, state) }
    }

    /// The same for a page of the kernel.
    pub fn clear_kernel(&'static self, page: u64) -> Frame {
        self.clear(KERNEL, page)
    }

    pub fn freed(&self) -> usize {
        self.freed.borrow().len()
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

pub const EXPLOSION: &str = "the embedder panics";

/// What a page mapped before it was unmapped.
pub struct Frame {
    state: &'static State,
    which: (u64, u64, u64),
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.state.calls(Callback::FrameDrop, When::Before);
        self.state.freed.borrow_mut().insert(self.which);
        (0..CPUS).for_each(|cpu| self.state.touch(cpu));
        self.state.calls(Callback::FrameDrop, When::After);
    }
}

/// A mask that belongs to a space or to the machine.
pub struct Mask {
    words: CpuMask<3>,
    state: &'static State,
    /// Identity of its space, once that is known.
    pub of: Cell<u64>,
}

impl Mask {
    pub fn new(state: &'static State) -> Self {
        Self { words: CpuMask::new(), state, of: Cell::new(u64::MAX) }
    }
}

// SAFETY: each machine is used by one thread.
unsafe impl Sync for Mask {}

// SAFETY: 1. and 2. those of the field.
unsafe impl MaskStore for Mask {
    fn words(&self) -> &[MaskWord] {
        self.state.uses(self.of.get(), "the mask");
        self.state.calls(Callback::MaskWords, When::Before);
        self.words.words()
    }
    fn summary(&self) -> Option<&MaskSummary> {
        self.state.uses(self.of.get(), "the summary");
        self.state.calls(Callback::MaskSummary, When::Before);
        self.words.summary()
    }
}

/// A broadcast to all TLBs.
pub struct Everywhere(pub &'static State);

// SAFETY: 1. the model's TLBs are emptied, or it does not return.
unsafe impl TagBroadcast for Everywhere {
    fn flush_all_tags(&self) {
        self.0.calls(Callback::Broadcast, When::Before);
        self.0.hardware.borrow_mut().iter_mut().for_each(|cpu| cpu.tlb.clear());
        self.0.calls(Callback::Broadcast, When::After);
    }
}
