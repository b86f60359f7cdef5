//! The hardware: TLBs that fill at the worst moments, walkers, interrupt lines.

use super::machine::{KERNEL, Machine, Object, TABLE};
use super::memory::{Blame, Memory};
use loom::sync::atomic::{AtomicU64, AtomicUsize};
use shootdown_under_loom::flush::{FlushRequest, LocalFlush, PageRange};
use shootdown_under_loom::mask::{MaskStore, MaskSummary, MaskWord, OnLeave};
use shootdown_under_loom::refs::{SpaceHandle as _, Teardown};
use shootdown_under_loom::tags::{OnInstall, PerCpuSlots, Tag, TagPolicy, Untagged};
use shootdown_under_loom::trace::IrqReason;
use shootdown_under_loom::{CpuId, CpuLocal, Platform};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// A choice of tags and masks.
pub trait Kind: Send + Sync + Sized + 'static {
    /// Tag policy.
    type Tags: TagPolicy + Default + Send + 'static;
    /// What a leaving CPU does about its bit.
    const ON_LEAVE: OnLeave = OnLeave::RemoveBit;
    /// CPUs to a word of a mask, by the numbers that the engine knows them by. Below 64, masks have a summary.
    const CPUS_PER_WORD: u32 = 64;
}

/// No tags, exact masks.
pub struct Plain;
impl Kind for Plain {
    type Tags = Untagged;
}

/// No tags; bits stay until trimmed.
pub struct Keep;
impl Kind for Keep {
    type Tags = Untagged;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;
}

/// Each CPU in a mask word of its own.
pub struct Wide;
impl Kind for Wide {
    type Tags = Untagged;
    const CPUS_PER_WORD: u32 = 1;
}

/// Two CPUs to a mask word.
pub struct Paired;
impl Kind for Paired {
    type Tags = Untagged;
    const CPUS_PER_WORD: u32 = 2;
}

/// Two tags a CPU.
pub struct Tagged;
impl Kind for Tagged {
    type Tags = PerCpuSlots<2>;
}

loom::thread_local! {
    /// CPU that this thread of the model is.
    static CPU: Cell<u32> = Cell::new(0);
}

/// Makes the calling thread CPU `cpu`.
pub(super) fn become_cpu(cpu: usize) {
    CPU.with(|me| me.set(u32::try_from(cpu).expect("few CPUs")));
}

/// The number that the engine knows a CPU by.
fn number<K: Kind>(cpu: usize) -> CpuId {
    let cpu = u32::try_from(cpu).expect("few CPUs");
    CpuId::new(cpu / K::CPUS_PER_WORD * 64 + cpu % K::CPUS_PER_WORD)
}

/// The CPU that the engine knows by a number.
fn index<K: Kind>(cpu: CpuId) -> usize {
    (cpu.number() / 64 * K::CPUS_PER_WORD + cpu.number() % 64) as usize
}

/// What one CPU's hardware has inside. Only the thread that is the CPU touches it; locked for the type checker, and
/// never across an operation of loom.
#[derive(Default)]
struct Inside {
    irqs_masked: bool,
    halted: bool,
    root: Option<usize>,
    tag: u16,
    entries: Vec<Entry>,
    walks: Vec<(u16, usize)>,
}

/// A translation in a TLB. `tag` is nothing for kernel pages, which hit under every tag.
#[derive(Clone, Copy, PartialEq)]
struct Entry {
    tag: Option<u16>,
    page: usize,
    frame: usize,
}

/// One CPU: its lent memory, its interrupt line, its insides.
pub(super) struct Core {
    local: CpuLocal,
    line: AtomicU64,
    /// 1 while the CPU's thread has ended and nobody acts in its place.
    parked: AtomicU64,
    inside: Mutex<Inside>,
}

/// Page tables of a space: one word a page, 0 or the frame's number plus 1. Page [`TABLE`] is reached through a second
/// table, which `directory` names in the same way.
pub(super) struct Root {
    pub(super) memory: Arc<Memory>,
    pub(super) directory: Option<AtomicU64>,
    pub(super) pages: Vec<AtomicU64>,
}

/// The machine that the engine sees.
pub struct Hw<K: Kind> {
    pub(super) cores: Vec<Core>,
    pub(super) roots: Vec<Root>,
    /// Kernel pages, mapped under every root and none.
    pub(super) kernel: Vec<AtomicU64>,
    /// Frames, then tables.
    pub(super) memory: Vec<Arc<Memory>>,
    pub(super) blame: Blame,
    pub(super) machine: OnceLock<Weak<Machine<K>>>,
    pub(super) finished: AtomicUsize,
    /// See [`Hw::may_switch`].
    meeting: AtomicU64,
    /// CPUs that have no thread of their own, the page that each one's user touches, and the CPU whose thread they are.
    pub(super) puppets: Vec<Puppet>,
    tags: K::Tags,
    kind: PhantomData<K>,
}

/// A CPU that acts whenever the thread of `host` waits or polls: its user touches `page`, then it takes its interrupt.
///
/// It stands in for a third thread, which would not finish: waiting threads yield, yields are no preemptions, and so
/// loom follows ever longer schedules in which two waiting threads alternate.
pub struct Puppet {
    /// Its number.
    pub cpu: usize,
    /// CPU whose thread it runs on.
    pub host: usize,
    /// What its user touches.
    pub page: usize,
}

/// A mask of one word, or of two with a summary, whose every use is a use of its space's memory.
pub struct Mask {
    words: Vec<MaskWord>,
    summary: Option<MaskSummary>,
    memory: Arc<Memory>,
}

impl Mask {
    /// Makes the mask of a space with that memory.
    pub(super) fn new<K: Kind>(memory: &Arc<Memory>) -> Self {
        let wide = K::CPUS_PER_WORD < 64;
        Self {
            words: (0..=usize::from(wide)).map(|_| MaskWord::new()).collect(),
            summary: wide.then(MaskSummary::new),
            memory: memory.clone(),
        }
    }
}

// SAFETY: 1. and 2. words and summary are fields of the value, made with it and never replaced.
unsafe impl MaskStore for Mask {
    fn words(&self) -> &[MaskWord] {
        self.memory.used();
        &self.words
    }

    fn summary(&self) -> Option<&MaskSummary> {
        self.summary.as_ref()
    }
}

impl<K: Kind> Hw<K> {
    pub(super) fn new(
        cpus: usize,
        puppets: Vec<Puppet>,
        roots: Vec<Root>,
        kernel: usize,
        memory: Vec<Arc<Memory>>,
        blame: Blame,
    ) -> Self {
        let core = |_| Core {
            local: CpuLocal::new(),
            line: AtomicU64::new(0),
            parked: AtomicU64::new(0),
            inside: Mutex::default(),
        };
        let first = memory.len() - kernel;
        Self {
            cores: (0..cpus).map(core).collect(),
            roots,
            kernel: (0..kernel).map(|page| AtomicU64::new((first + page) as u64 + 1)).collect(),
            memory,
            blame,
            machine: OnceLock::new(),
            finished: AtomicUsize::new(0),
            meeting: AtomicU64::new(0),
            puppets,
            tags: K::Tags::default(),
            kind: PhantomData,
        }
    }

    pub(super) fn machine(&self) -> Arc<Machine<K>> {
        self.machine.get().and_then(Weak::upgrade).expect("set before anything runs")
    }

    /// A place where loom shall consider switching to the other CPU.
    ///
    /// loom remembers one last access a cell: a CPU that reads a word of its own before it writes it hides the other
    /// CPU's earlier read from the search. All CPUs change this word at the places where interrupts come on, which
    /// makes those places dependent on each other. Relaxed, so it orders nothing.
    fn may_switch(&self) {
        self.meeting.fetch_add(1, Relaxed);
    }

    /// Takes an interrupt if one is pending and interrupts are on. The line is only ever changed by read-modify-writes
    /// and carries no order of its own, as on hardware whose interrupts are not memory operations.
    pub(super) fn poll(&self) {
        let me = self.me();
        for puppet in self.puppets.iter().filter(|puppet| puppet.host == me) {
            become_cpu(puppet.cpu);
            if let Some(frame) = self.translate(puppet.page) {
                self.memory[frame].used();
                self.machine().addresses[puppet.page].used();
            }
            self.take_interrupt();
            become_cpu(me);
        }
        self.take_interrupt();
    }

    /// Leaves this CPU to those who wait for it.
    pub(super) fn park(&self) {
        self.cores[self.me()].parked.store(1, Release);
    }

    /// Takes the interrupts of CPUs that have parked. The CPU that acts for them sees what they did, and this hides the
    /// engine's own orderings, but only where the parked CPU had not answered before it parked.
    fn act_for_parked(&self) {
        let me = self.me();
        for (other, core) in self.cores.iter().enumerate() {
            if core.parked.compare_exchange(1, 0, Acquire, Relaxed).is_ok() {
                become_cpu(other);
                self.take_interrupt();
                become_cpu(me);
                core.parked.store(1, Release);
            }
        }
    }

    fn take_interrupt(&self) {
        let (masked, halted) = self.inside(|inside| (inside.irqs_masked, inside.halted));
        if masked || halted || self.cores[self.me()].line.swap(0, Relaxed) == 0 {
            return;
        }
        self.inside(|inside| inside.irqs_masked = true);
        // SAFETY: 1. they are masked until the next line; 2. the engine masks them where it must not be interrupted.
        unsafe { self.machine().engine.handle_ipi() };
        self.inside(|inside| inside.irqs_masked = false);
    }

    /// Stops taking interrupts: the CPU is off line.
    pub(super) fn halt(&self, halted: bool) {
        self.inside(|inside| inside.halted = halted);
    }

    /// Whether user code may run: some space's root is in the register.
    pub(super) fn root(&self) -> Option<usize> {
        self.inside(|inside| inside.root)
    }

    /// Frame that the TLB gives for `page` now, filled from the tables where there is no entry.
    pub(super) fn translate(&self, page: usize) -> Option<usize> {
        self.fill(page);
        let hit = |inside: &mut Inside| {
            let tag = (page < KERNEL).then_some(inside.tag);
            inside
                .entries
                .iter()
                .find(|entry| entry.page == page && entry.tag == tag)
                .map(|entry| entry.frame)
        };
        self.inside(hit)
    }

    /// What a walker that runs ahead does whenever it can: reads everything that it can reach. The entries stay until
    /// they are flushed, so an early fill is the worst one.
    fn walk_everything(&self) {
        if let Some(root) = self.root() {
            self.roots[root].memory.used();
            for page in 0..self.roots[root].pages.len() {
                self.fill(page);
            }
        }
        for page in 0..self.kernel.len() {
            self.fill(KERNEL + page);
        }
    }

    fn fill(&self, page: usize) {
        let (root, tag) = self.inside(|inside| (inside.root, inside.tag));
        let (word, tag) = match (page.checked_sub(KERNEL), root) {
            (Some(kernel), _) => (&self.kernel[kernel], None),
            (None, Some(root)) if page < self.roots[root].pages.len() => {
                (&self.roots[root].pages[page], Some(tag))
            }
            _ => return,
        };
        let known =
            |inside: &mut Inside| inside.entries.iter().any(|entry| entry.page == page && entry.tag == tag);
        // Other pages lie behind the same table, so a walker goes there even for a page that has its entry.
        if !self.reach_table(root, tag, page) || self.inside(known) {
            return;
        }
        // The walk itself: it reads what this CPU's own loads could read here.
        if let Some(frame) = (word.load(Relaxed) as usize).checked_sub(1) {
            self.inside(|inside| inside.entries.push(Entry { tag, page, frame }));
        }
    }

    /// Goes through the second table where `page` lies behind one; the walk cache remembers it until flushed.
    fn reach_table(&self, root: Option<usize>, tag: Option<u16>, page: usize) -> bool {
        let (Some(root), Some(tag)) = (root, tag) else { return true };
        let Some(directory) = self.roots[root].directory.as_ref().filter(|_| page == TABLE) else {
            return true;
        };
        let cached = self.inside(|inside| inside.walks.iter().find(|walk| walk.0 == tag).map(|walk| walk.1));
        let Some(table) = cached.or_else(|| (directory.load(Relaxed) as usize).checked_sub(1)) else {
            return false;
        };
        if cached.is_none() {
            self.inside(|inside| inside.walks.push((tag, table)));
        }
        self.memory[table].used();
        true
    }

    fn me(&self) -> usize {
        CPU.with(Cell::get) as usize
    }

    fn inside<R>(&self, body: impl FnOnce(&mut Inside) -> R) -> R {
        body(&mut self.cores[self.me()].inside.lock().expect("no panic under this lock"))
    }
}

fn holds(range: PageRange, page: usize) -> bool {
    let first = range.start().0 >> 12;
    (first..first + (range.count() << (range.size().shift() - 12))).contains(&(page as u64))
}

// SAFETY: 1. a thread is one CPU for good, set before it calls the engine; 2. one element a CPU; 3. a thread of the model
// is never moved and takes interrupts in `poll` alone, which looks at the flag; 4. entries are gone from the vector, and
// `translate` reads nothing else; 5. `poll` is called from waits, from accesses and until all CPUs are done; 6. it never
// answers `Done`.
unsafe impl<K: Kind> Platform for Hw<K> {
    type Root = usize;
    type Mask = Mask;
    type Handle = Arc<Object<K>>;
    type Tags = K::Tags;
    type Pin = ();
    const ON_LEAVE: OnLeave = K::ON_LEAVE;
    const STALL_POLLS: u64 = 24;
    const USER_MODE: bool = true;

    fn pin(&self) {}

    fn cpu(&self) -> CpuId {
        number::<K>(self.me())
    }

    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cores[index::<K>(cpu)].local
    }

    fn irq_save(&self, _: IrqReason) -> bool {
        self.inside(|inside| !std::mem::replace(&mut inside.irqs_masked, true))
    }

    fn irq_restore(&self, were_on: bool) {
        self.inside(|inside| inside.irqs_masked = !were_on);
        if were_on {
            self.may_switch();
        }
    }

    fn tags(&self) -> &K::Tags {
        &self.tags
    }

    unsafe fn flush_local(&self, what: LocalFlush) {
        let leaves = !what.request.frees_tables();
        self.inside(|inside| match (what.tag, what.request.range()) {
            (Some(tag), Some(range)) => {
                let tag = tag.number();
                inside.entries.retain(|entry| entry.tag != Some(tag) || !holds(range, entry.page));
                inside.walks.retain(|walk| walk.0 != tag || leaves);
            }
            (Some(tag), None) => {
                inside.entries.retain(|entry| entry.tag != Some(tag.number()));
                inside.walks.retain(|walk| walk.0 != tag.number());
            }
            (None, Some(range)) => {
                let hit = |entry: &Entry| entry.page >= KERNEL && holds(range, entry.page);
                inside.entries.retain(|entry| !hit(entry));
            }
            (None, None) => {
                inside.entries.clear();
                inside.walks.clear();
            }
        });
        self.walk_everything();
    }

    unsafe fn install(&self, root: Option<usize>, tag: Tag, how: OnInstall) {
        // Until this very moment the hardware used the old root.
        self.walk_everything();
        self.inside(|inside| {
            inside.root = root;
            inside.tag = tag.number();
            let stay = |tag: u16| how == OnInstall::Keep || tag != inside.tag;
            let untagged = tag == Tag::NONE;
            inside.entries.retain(|entry| entry.tag.is_none_or(|tag| stay(tag) && !untagged));
            inside.walks.retain(|walk| stay(walk.0) && !untagged);
        });
        self.walk_everything();
    }

    fn send_ipi(&self, cpu: CpuId) {
        self.cores[index::<K>(cpu)].line.fetch_or(1, Relaxed);
    }

    unsafe fn free_root(&self, handle: Self::Handle) {
        self.roots[handle.space().root()].memory.reused();
    }

    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        self.blame.report("a teardown was dropped".to_string());
        let _ = teardown.into_handle();
    }

    fn relax(&self, _: u64) {
        self.poll();
        self.act_for_parked();
    }

    /// No scenario has a CPU that is late for good: this is a lost IPI. The model must end all the same, so the target
    /// is sent one more, in the one way that always interrupts.
    fn stalled(&self, cpu: CpuId, _: u64) {
        self.blame.report(format!("{cpu} was never made to answer"));
        for core in &self.cores {
            core.inside.lock().expect("no panic under this lock").halted = false;
        }
        std::mem::forget(self.machine().engine.send_kernel(FlushRequest::all()));
    }
}
