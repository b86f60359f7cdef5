//! The engine's platform on the simulated machine: what an embedder writes, thirty lines of it.

use crate::config::MAX_PAGES;
use crate::hw::{self, WalkCache, Whose};
use shootdown::{
    AddressSpace, CpuId, CpuLocal, CpuMask, LocalFlush, OnInstall, OnLeave, PageRange, Platform, Remote,
    RemoteFlush, Scope, SpaceHandle, Span, Tables, Tag, TagPolicy, Teardown,
};
use shootdown_explore::sync::{self, Word};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How the machine's software is set up.
pub trait Setup: 'static {
    /// Tags.
    type Tags: TagPolicy + Default + 'static;
    /// What switching CPUs do about their bits.
    const ON_LEAVE: OnLeave = OnLeave::RemoveBit;
    /// Tags besides the untagged one that the hardware needs.
    const TAGS: usize = 0;
    /// Whether there is a broadcast transport, which answers done or not as it pleases.
    const BROADCAST: bool = false;
    /// Pages up to which ranges are flushed one by one.
    const CEILING: u64 = 33;
}

/// A simulated machine's platform.
pub struct Sim<S: Setup> {
    pub(crate) locals: Vec<CpuLocal>,
    /// Per space: 1 where its teardown waits to be resumed.
    pub(crate) deferred: [Word; 2],
    tags: S::Tags,
    /// CPU for which the scenario is being built; [`RUNNING`] afterwards.
    building: AtomicUsize,
}

pub(crate) const RUNNING: usize = usize::MAX;
pub(crate) const DOORBELL: u8 = 0;

/// A pointer to a space, which knows its number.
pub struct Handle<S: Setup>(pub(crate) &'static AddressSpace<Sim<S>>);

impl<S: Setup> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Handle(self.0)
    }
}

// SAFETY: 1. a copy of one reference; 2. the space is leaked, `retire` tells the explorer when it counts as freed.
unsafe impl<S: Setup> SpaceHandle<Sim<S>> for Handle<S> {
    fn space(&self) -> &AddressSpace<Sim<S>> {
        self.0
    }
}

impl<S: Setup> Sim<S> {
    pub(crate) fn new(cpus: usize) -> Self {
        Self {
            locals: (0..cpus).map(|_| CpuLocal::new()).collect(),
            deferred: [Word::new("deferred", 0), Word::new("deferred", 0)],
            tags: S::Tags::default(),
            building: AtomicUsize::new(0),
        }
    }

    /// Has the engine believe that the caller runs on `cpu`, or that the exploration is on.
    pub(crate) fn build_for(&self, cpu: usize) {
        self.building.store(cpu, Ordering::Relaxed);
    }
}

pub(crate) fn page_address(page: usize) -> shootdown::VirtAddr {
    shootdown::VirtAddr((page as u64) << 12)
}

/// The machine's pages that a range covers.
fn pages(range: PageRange) -> impl Iterator<Item = usize> {
    let first = (range.start().0 >> 12) as usize;
    let last = first + (range.count() << (range.size().shift() - 12)) as usize;
    first.min(MAX_PAGES)..last.min(MAX_PAGES)
}

fn walk(tables: Tables) -> WalkCache {
    match tables {
        Tables::Kept => WalkCache::Keep,
        Tables::Freed => WalkCache::Drop,
    }
}

fn tag_number(tag: Tag) -> u8 {
    tag.number() as u8
}

// SAFETY: 1. the explorer numbers CPUs; 2. a fixed vector; 3. the explorer's interrupt flag, and nothing preempts; 4. the
// simulated hardware does them in one step; 5. `raise` reaches the scenario's handler, which calls `serve`; 6. `Done` only
// after the broadcast.
unsafe impl<S: Setup> Platform for Sim<S> {
    type Root = usize;
    type Mask = CpuMask<1>;
    type Handle = Handle<S>;
    type Tags = S::Tags;
    type Pin = ();

    const RANGE_CEILING: u64 = S::CEILING;
    const ON_LEAVE: OnLeave = S::ON_LEAVE;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        let building = self.building.load(Ordering::Relaxed);
        CpuId::new(if building == RUNNING { sync::cpu() } else { building } as u32)
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[cpu.index()]
    }
    #[track_caller]
    fn irq_save(&self, _: Span) -> bool {
        sync::irq_save()
    }
    fn irq_restore(&self, were_on: bool) {
        sync::irq_restore(were_on);
    }
    fn irq_enabled(&self) -> bool {
        sync::irq_enabled()
    }
    fn tags(&self) -> &S::Tags {
        &self.tags
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        match what {
            LocalFlush::Pages { tag, range, tables } => {
                pages(range).for_each(|page| hw::flush_page(tag_number(tag), page, walk(tables)));
            }
            LocalFlush::Tag(tag) => hw::flush_tag(tag_number(tag)),
            LocalFlush::KernelPages { range, .. } => pages(range).for_each(hw::flush_kernel_page),
            LocalFlush::Everything => hw::flush_all(),
        }
    }
    unsafe fn install(&self, root: Option<usize>, tag: Tag, how: OnInstall) {
        let how = match how {
            OnInstall::Keep => hw::Install::Keep,
            OnInstall::Flush => hw::Install::FlushTag,
        };
        hw::install(root, tag_number(tag), how);
    }
    fn kick(&self, cpu: CpuId) {
        sync::raise(cpu.index(), DOORBELL);
    }
    unsafe fn free_root(&self, space: &AddressSpace<Self>) {
        hw::free_root(space.root());
        sync::retire(space);
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let root = teardown.root();
        teardown.into_handle();
        self.deferred[root].store(1, Ordering::Release);
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        if !S::BROADCAST || sync::choose(2) == 0 {
            return Remote::Kick;
        }
        let whose = what.space.map_or(Whose::Kernel, |space| Whose::Space(space.root()));
        match what.scope {
            Scope::Pages(range) => {
                pages(range).for_each(|page| hw::broadcast(whose, hw::Which::Page(page, walk(what.tables))));
            }
            Scope::All => hw::broadcast(whose, hw::Which::All),
        }
        Remote::Done
    }
    fn quiesce(&self) {
        hw::offline();
    }
}
