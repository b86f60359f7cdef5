//! The hardware: TLBs as sets, walkers that fill them at once, interrupt lines.

use super::oracle::{Lease, Oracle};
use super::run::{Machine, Object};
use shootdown_under_shuttle::flush::{LocalFlush, PageRange, PageTables, Scope};
use shootdown_under_shuttle::mask::{CpuMask, OnLeave};
use shootdown_under_shuttle::refs::{Teardown, TeardownHandle};
use shootdown_under_shuttle::tags::{OnInstall, PerCpuSlots, Tag, TagPolicy, Untagged};
use shootdown_under_shuttle::trace::{Event, IrqReason};
use shootdown_under_shuttle::{AddressSpace, CpuId, CpuLocal, Platform};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// A choice of tags and masks.
pub trait Kind: Send + Sync + Sized + 'static {
    /// Tag policy.
    type Tags: TagPolicy + Default + Send + 'static;
    /// What a leaving CPU does about its bit.
    const ON_LEAVE: OnLeave = OnLeave::RemoveBit;
}

/// No tags, exact masks.
pub struct Plain;
impl Kind for Plain {
    type Tags = Untagged;
}

/// Three tags a CPU for more spaces; bits stay until trimmed.
pub struct Kept;
impl Kind for Kept {
    type Tags = PerCpuSlots<3>;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;
}

/// Eight tags a CPU: spaces keep theirs.
pub struct Tagged;
impl Kind for Tagged {
    type Tags = PerCpuSlots<8>;
}

/// One tag a CPU: each switch takes it from another space.
pub struct OneTag;
impl Kind for OneTag {
    type Tags = PerCpuSlots<1>;
}

/// User pages of a space. The upper half lies behind a second table.
pub const PAGES: usize = 6;
/// First page behind the second table.
pub const BEHIND: usize = 3;
/// Pages of kernel memory.
pub const KERNEL_PAGES: usize = 2;
const KERNEL: usize = 64;

/// Page tables of one space, or of kernel memory.
#[derive(Default)]
pub struct SpaceTables {
    /// Second table, where there is one.
    pub table: Option<Lease>,
    /// Frame of each page.
    pub pages: Vec<Option<Lease>>,
    /// Whether the root was freed.
    pub dead: bool,
}

/// What one CPU's hardware has inside.
#[derive(Default)]
struct Inside {
    irqs_masked: bool,
    online: bool,
    line: bool,
    /// Space whose user code runs, or is interrupted.
    user: Option<usize>,
    root: Option<usize>,
    tag: u16,
    entries: Vec<Entry>,
    /// What the walk cache has: tag and second table.
    walks: Vec<(u16, Lease)>,
}

/// A translation. No tag for kernel pages.
#[derive(Clone, Copy)]
struct Entry {
    tag: Option<u16>,
    page: usize,
    lease: Lease,
}

/// The machine that the engine sees.
pub struct Hw<K: Kind> {
    locals: Vec<CpuLocal>,
    /// Locked for the type checker, and never across an operation of shuttle.
    insides: Vec<Mutex<Inside>>,
    /// One a space, then kernel memory. Locked like the insides.
    tables: Vec<Mutex<SpaceTables>>,
    /// Teardowns that were dropped.
    pub deferred: Mutex<Vec<TeardownHandle<Self>>>,
    /// Frames and findings.
    pub oracle: Oracle,
    /// Set once, before anything runs.
    pub machine: OnceLock<Weak<Machine<K>>>,
    tags: K::Tags,
    kind: PhantomData<K>,
}

impl<K: Kind> Hw<K> {
    /// Makes a machine.
    pub fn new(cpus: usize, spaces: usize) -> Self {
        let frames = spaces * (PAGES + 1) + KERNEL_PAGES + cpus * (PAGES + 1);
        let hw = Self {
            locals: (0..cpus).map(|_| CpuLocal::new()).collect(),
            insides: (0..cpus).map(|_| Mutex::default()).collect(),
            tables: (0..=spaces).map(|_| Mutex::default()).collect(),
            deferred: Mutex::default(),
            oracle: Oracle::new(frames),
            machine: OnceLock::new(),
            tags: K::Tags::default(),
            kind: PhantomData,
        };
        for space in 0..spaces {
            hw.tables(space, |tables| tables.pages = vec![None; PAGES]);
        }
        hw.tables(spaces, |tables| {
            tables.pages = (0..KERNEL_PAGES).map(|_| Some(hw.oracle.take())).collect()
        });
        hw
    }

    /// Looks at or changes the page tables of a space; the one after the last is kernel memory.
    pub fn tables<R>(&self, space: usize, body: impl FnOnce(&mut SpaceTables) -> R) -> R {
        body(&mut self.tables[space].lock().expect("no panic under this lock"))
    }

    /// Number of kernel memory among the tables.
    pub fn kernel(&self) -> usize {
        self.tables.len() - 1
    }

    /// User code of `space`, or none, runs on this CPU from now on.
    pub fn set_user(&self, user: Option<usize>) {
        self.inside(|inside| inside.user = user);
    }

    /// Space whose user code runs on this CPU.
    pub fn user(&self) -> Option<usize> {
        self.inside(|inside| inside.user)
    }

    /// The CPU is back: its kernel uses kernel memory, and it takes interrupts.
    pub fn came_online(&self) {
        self.inside(|inside| inside.online = true);
    }

    /// User code touches a page: what its TLB gives must still be what was leased.
    pub fn touch(&self, page: usize) {
        self.poll();
        self.fill();
        self.check(|tag, entry| entry.page == page && entry.tag == Some(tag), "user code used");
    }

    /// The kernel touches a page of its own.
    pub fn touch_kernel(&self, page: usize) {
        self.poll();
        self.fill();
        self.check(|_, entry| entry.page == KERNEL + page && entry.tag.is_none(), "the kernel used");
    }

    fn check(&self, wanted: impl Fn(u16, &Entry) -> bool, what: &str) {
        let hits: Vec<Entry> = self.inside(|inside| {
            let tag = inside.tag;
            inside.entries.iter().filter(|entry| wanted(tag, entry)).copied().collect()
        });
        for entry in hits {
            if !self.oracle.holds(entry.lease) {
                let me = self.me();
                self.oracle
                    .report(format!("CPU {me}: {what} page {} through a stale translation", entry.page));
            }
        }
    }

    /// A frame or a table is given back: nobody may be able to reach it. User code that runs, or will go on after an
    /// interrupt, reaches it through its TLB; the kernel of a CPU that is on line likewise; the walker of any CPU with the root loaded, through its walk cache.
    pub fn give_back(&self, lease: Lease) {
        for (cpu, inside) in self.insides.iter().enumerate() {
            let inside = inside.lock().expect("no panic under this lock");
            let reaches = |entry: &Entry| match entry.tag {
                _ if entry.lease != lease => false,
                Some(tag) => inside.user.is_some() && tag == inside.tag,
                None => inside.online,
            };
            let walks =
                |walk: &(u16, Lease)| walk.1 == lease && inside.root.is_some() && walk.0 == inside.tag;
            if inside.entries.iter().any(reaches) || inside.walks.iter().any(walks) {
                self.oracle.report(format!("frame {} reused while CPU {cpu} can reach it", lease.frame));
            }
        }
        self.oracle.give(lease);
    }

    /// Takes an interrupt, if one is pending and interrupts are on.
    pub fn poll(&self) {
        let taken = self.inside(|inside| {
            let taken = !inside.irqs_masked && inside.online && std::mem::take(&mut inside.line);
            inside.irqs_masked |= taken;
            taken
        });
        if taken {
            let machine = self.machine.get().and_then(Weak::upgrade).expect("set before anything runs");
            // SAFETY: 1. they are masked until the next line; 2. the engine masks them where it must not be interrupted.
            unsafe { machine.engine.handle_ipi() };
            self.inside(|inside| inside.irqs_masked = false);
        }
    }

    /// The walker reads all that it can reach.
    fn fill(&self) {
        if let Some(root) = self.inside(|inside| inside.root) {
            self.tables(root, |tables| {
                if tables.dead {
                    self.oracle.report(format!("CPU {} walks the freed root of space {root}", self.me()));
                }
                self.inside(|inside| {
                    let tag = inside.tag;
                    let cached = inside.walks.iter().find(|walk| walk.0 == tag).map(|walk| walk.1);
                    if let (None, Some(table)) = (cached, tables.table) {
                        inside.walks.push((tag, table));
                    }
                    let behind = cached.or(tables.table).is_some();
                    let reached = if behind { PAGES } else { BEHIND };
                    inside.learn(Some(tag), 0, &tables.pages[..reached]);
                });
            });
        }
        self.tables(self.kernel(), |tables| self.inside(|inside| inside.learn(None, KERNEL, &tables.pages)));
    }

    /// Number of the calling CPU: that of the task.
    fn me(&self) -> usize {
        usize::from(shuttle::current::me())
    }

    fn inside<R>(&self, body: impl FnOnce(&mut Inside) -> R) -> R {
        body(&mut self.insides[self.me()].lock().expect("no panic under this lock"))
    }
}

impl Inside {
    /// Fills entries where there are none.
    fn learn(&mut self, tag: Option<u16>, first: usize, pages: &[Option<Lease>]) {
        for (index, &lease) in pages.iter().enumerate() {
            let page = first + index;
            let known = self.entries.iter().any(|entry| entry.page == page && entry.tag == tag);
            if let (false, Some(lease)) = (known, lease) {
                self.entries.push(Entry { tag, page, lease });
            }
        }
    }

    fn forget_tag(&mut self, tag: u16) {
        self.entries.retain(|entry| entry.tag != Some(tag));
        self.walks.retain(|walk| walk.0 != tag);
    }
}

fn holds(range: PageRange, page: usize) -> bool {
    let first = range.start().0 >> 12;
    (first..first + (range.count() << (range.size().shift() - 12))).contains(&(page as u64))
}

/// Range of pages of a space.
pub fn pages(first: usize, count: usize) -> PageRange {
    let start = shootdown_under_shuttle::flush::VirtAddr((first as u64) << 12);
    PageRange::new(start, count as u64, shootdown_under_shuttle::flush::PageSize::Size4K)
        .expect("small numbers")
}

/// Scope of a page of kernel memory.
pub fn kernel_scope(page: usize) -> Scope {
    Scope::Pages(pages(KERNEL + page, 1))
}

// SAFETY: 1. tasks are CPUs, one each; 2. one element a CPU; 3. a task is never moved and takes interrupts in `poll`
// alone, which looks at the flag; 4. entries are gone from the vector, and nothing else is read; 5. `poll` is called from
// waits, from accesses and until all CPUs are done; 6. it never answers `Done`.
unsafe impl<K: Kind> Platform for Hw<K> {
    type Root = usize;
    type Mask = CpuMask<1>;
    type Handle = Arc<Object<K>>;
    type Tags = K::Tags;
    type Pin = ();
    const ON_LEAVE: OnLeave = K::ON_LEAVE;
    const STALL_POLLS: u64 = 3_000;

    fn pin(&self) {}

    fn cpu(&self) -> CpuId {
        CpuId::new(u32::try_from(self.me()).expect("few CPUs"))
    }

    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[cpu.index()]
    }

    fn irq_save(&self, _: IrqReason) -> bool {
        self.poll();
        self.inside(|inside| !std::mem::replace(&mut inside.irqs_masked, true))
    }

    fn irq_restore(&self, were_on: bool) {
        self.inside(|inside| inside.irqs_masked = !were_on);
        self.poll();
    }

    fn tags(&self) -> &K::Tags {
        &self.tags
    }

    unsafe fn flush_local(&self, what: LocalFlush) {
        self.inside(|inside| match what {
            LocalFlush::Pages { tag, range, tables } => {
                let tag = tag.number();
                inside.entries.retain(|entry| entry.tag != Some(tag) || !holds(range, entry.page));
                inside.walks.retain(|walk| walk.0 != tag || tables == PageTables::Kept);
            }
            LocalFlush::Tag(tag) => inside.forget_tag(tag.number()),
            LocalFlush::KernelPages { range, .. } => {
                inside.entries.retain(|entry| entry.tag.is_some() || !holds(range, entry.page));
            }
            LocalFlush::Everything => {
                inside.entries.clear();
                inside.walks.clear();
            }
        });
        self.fill();
    }

    unsafe fn install(&self, root: Option<usize>, tag: Tag, how: OnInstall) {
        self.fill();
        self.inside(|inside| {
            if tag == Tag::NONE {
                // Without tags every load of the register flushes; the kernel's own root has no user entries.
                inside.forget_tag(0);
            }
            if how == OnInstall::Flush {
                inside.forget_tag(tag.number());
            }
            (inside.root, inside.tag) = (root, tag.number());
        });
        self.fill();
    }

    fn send_ipi(&self, cpu: CpuId) {
        self.insides[cpu.index()].lock().expect("no panic under this lock").line = true;
    }

    unsafe fn free_root(&self, space: &AddressSpace<Self>) {
        let root = space.root();
        for (cpu, inside) in self.insides.iter().enumerate() {
            if inside.lock().expect("no panic under this lock").root == Some(root) {
                self.oracle.report(format!("root of space {root} freed while CPU {cpu} has it loaded"));
            }
        }
        let (again, left) = self.tables(root, |tables| {
            let left = tables.pages.iter().flatten().count() + usize::from(tables.table.is_some());
            (std::mem::replace(&mut tables.dead, true), left)
        });
        if again || left > 0 {
            self.oracle.report(format!("root of space {root} freed twice, or with {left} pages mapped"));
        }
    }

    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        self.deferred.lock().expect("no panic under this lock").push(teardown.into_handle());
    }

    fn before_offline(&self) {
        self.inside(|inside| inside.online = false);
    }

    fn publish_tables(&self) {
        self.poll();
    }

    fn relax(&self, _: u64) {
        self.poll();
    }

    fn event(&self, _: Event) {
        self.poll();
    }

    /// All CPUs get to run, so this is a lost IPI. The run must end all the same, so the target is sent one more, in the one
    /// way that always interrupts.
    fn stalled(&self, cpu: CpuId, _: u64) {
        self.oracle.report(format!("{cpu} was never made to answer"));
        let machine = self.machine.get().and_then(Weak::upgrade).expect("set before anything runs");
        std::mem::forget(machine.engine.send_kernel(Scope::All, PageTables::Kept));
    }
}
