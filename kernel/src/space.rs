//! Address spaces and processes.

use crate::arch;
use crate::canary::Canary;
use crate::findings::{self, Finding};
use crate::frames::{self, Frame};
use crate::lock::Mutex;
use crate::machine::{ENGINE, SINGLE_USER_SHORT_CUT, User, masked};
use crate::paging::{self, RootTables};
use crate::platform::Kernel;
use crate::window::{self, PAGES, REGIONS};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use shootdown::flush::{FlushRequest, Gather, LocalFlush, PageRange, PageSize, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::{SpaceHandle, StructRef, TeardownHandle};
use shootdown::tags::Tag;
use shootdown::{AddressSpace, Platform, SpaceId};

/// An address space: the engine's part, and the page tables.
#[derive(Debug)]
pub struct Space {
    engine: AddressSpace<Kernel>,
    tables: Mutex<Tables>,
    /// Whose canaries its pages carry.
    brand: u16,
    /// For each page, the oldest epoch that a read may meet.
    floors: [AtomicU32; PAGES],
}

/// What the page-table lock guards: entries, and the frames that they lead to.
#[derive(Debug)]
struct Tables {
    middle: u64,
    leaves: [Option<Frame>; REGIONS],
    pages: [Option<Arc<Frame>>; PAGES],
}

/// The engine's pointer to a space.
#[derive(Clone, Debug)]
pub struct SpaceRef(Arc<Space>);

// SAFETY: 1. and 2. it is a counted pointer.
unsafe impl SpaceHandle<Kernel> for SpaceRef {
    fn space(&self) -> &AddressSpace<Kernel> {
        &self.0.engine
    }
}

/// What a gather holds until nobody can reach it.
#[derive(Debug)]
#[expect(dead_code, reason = "held, and dropped")]
pub enum Held {
    /// A page, perhaps shared.
    Page(Arc<Frame>),
    /// A leaf table.
    Table(Frame),
}

/// Most pages that one unmap takes.
pub const BATCH: usize = 16;
type Held16<'a> = Gather<'a, Kernel, Held, BATCH>;

/// A kernel thread's reference to a space whose owner may exit.
#[derive(Debug)]
pub struct Grabbed {
    /// The space.
    pub space: Arc<Space>,
    /// What can be upgraded.
    pub reference: StructRef<'static, Kernel>,
}

/// A process: a space, and the reference that keeps its mappings. Dropping it ends the process.
#[derive(Debug)]
pub struct Process {
    space: Arc<Space>,
    user: User,
}

/// Roots and their tables, until the engine says that no CPU has one loaded.
static ROOTS: Mutex<BTreeMap<u64, RootTables>> = Mutex::new(BTreeMap::new());
/// Spaces whose mappings wait to be torn down.
static DEFERRED: Mutex<Vec<TeardownHandle<Kernel>>> = Mutex::new(Vec::new());
static NEXT_BRAND: AtomicU32 = AtomicU32::new(0);

impl Process {
    /// Makes a process without pages; nothing if memory has run out.
    pub fn new() -> Option<Self> {
        let number = NEXT_BRAND.fetch_add(1, Ordering::Relaxed) % (u32::from(Canary::OWNERS) - 1);
        Self::with_brand(number as u16 + 1)
    }

    /// Makes a process that shares the pages of this one, read only in both; nothing if memory has run out.
    pub fn fork(&self) -> Option<Self> {
        let child = Self::with_brand(self.space.brand)?;
        self.space.share_with(&child.space)?;
        Some(child)
    }

    fn with_brand(brand: u16) -> Option<Self> {
        let roots = RootTables::new()?;
        let root = roots.root();
        let tables = Tables {
            middle: roots.middle(),
            leaves: [const { None }; REGIONS],
            pages: [const { None }; PAGES],
        };
        ROOTS.lock().insert(root, roots);
        let engine =
            ENGINE.new_space(arch::root(root), CpuMask::new()).expect("masks are as large as the machine's");
        let floors = [const { AtomicU32::new(0) }; PAGES];
        let space = Arc::new(Space { engine, tables: Mutex::new(tables), brand, floors });
        let user =
            ENGINE.register(SpaceRef(space.clone())).map_err(|(refused, _)| refused).expect("a new space");
        Some(Self { space, user })
    }

    /// What keeps its mappings.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Its space.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Takes a reference that does not keep its mappings.
    pub fn grab(&self) -> Grabbed {
        Grabbed { space: self.space.clone(), reference: self.user.grab() }
    }
}

/// What an access met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// What it must meet.
    Page,
    /// No page.
    Fault,
    /// What it must not.
    Stale,
}

impl Space {
    /// Maps a new frame at `page`, unless something is mapped there; nothing if memory has run out.
    pub fn map_new(&self, page: u8) -> Option<()> {
        let mut tables = self.tables.lock();
        if tables.pages[usize::from(page)].is_some() {
            return Some(());
        }
        let frame = Arc::new(Frame::page(self.brand, page)?);
        self.put(&mut tables, page, frame, true)
    }

    /// Unmaps these pages, at most [`BATCH`], and returns when their frames are given back and nobody reads what was
    /// there.
    pub fn unmap(&self, pages: impl IntoIterator<Item = u8>) {
        let mut gather = self.gather();
        let (mut floors, mut spared) = ([None; BATCH], Vec::new());
        let short_cut = self.takes_short_cut();
        let (pending, epoch) = {
            let mut tables = self.tables.lock();
            for (page, floor) in pages.into_iter().zip(&mut floors) {
                // Also where another thread has taken the frame out, and not flushed it yet (SD-15).
                *floor = Some(page);
                let Some(frame) = tables.clear(page) else { continue };
                match short_cut {
                    true => spared.push((page, frame)),
                    false => gather.unmapped(range(page), Held::Page(frame)).expect("room for a batch"),
                }
            }
            (gather.send(), frames::next_epoch())
        };
        pending.finish();
        flush_here_alone(self.engine.id(), spared);
        floors.into_iter().flatten().for_each(|page| self.raise(page, epoch));
    }

    /// Unmaps these pages, at most [`BATCH`], as [`unmap`](Self::unmap) does, and lets go of the page-table lock at
    /// each step: what other threads do there meanwhile comes before the flush of what is already clear.
    pub fn unmap_by_steps(&self, pages: Range<u8>, mut unlocked: impl FnMut()) {
        let mut gather: Held16<'_> = ENGINE.gather_within(&self.engine, range_of(&pages));
        // Whatever is mapped from here on has this epoch or a later one.
        let epoch = frames::next_epoch();
        for page in pages.clone() {
            let cleared = self.tables.lock().clear(page);
            if let Some(frame) = cleared {
                gather.unmapped(range(page), Held::Page(frame)).expect("room for a batch");
            }
            unlocked();
        }
        gather.finish();
        pages.for_each(|page| self.raise(page, epoch));
    }

    /// Maps a new frame at `page` in place of what is there; nothing if memory has run out.
    pub fn remap(&self, page: u8) -> Option<()> {
        if arch::BREAK_BEFORE_MAKE {
            self.unmap([page]);
            return self.map_new(page);
        }
        self.replace(page, 0)
    }

    /// Gives `page` a frame of its own with what the old one held, and `version` on it: what a write to a shared page
    /// does. Nothing if memory has run out.
    pub fn unshare(&self, page: u8, version: u64) -> Option<()> {
        if arch::BREAK_BEFORE_MAKE {
            self.unmap([page]);
            let mut tables = self.tables.lock();
            if tables.pages[usize::from(page)].is_some() {
                // Another thread was faster.
                return Some(());
            }
            let frame = self.versioned(page, version)?;
            return self.put(&mut tables, page, frame, true);
        }
        self.replace(page, version)
    }

    fn versioned(&self, page: u8, version: u64) -> Option<Arc<Frame>> {
        let frame = Arc::new(Frame::page(self.brand, page)?);
        frame.word(frames::VERSION).store(version, Ordering::Relaxed);
        Some(frame)
    }

    fn replace(&self, page: u8, version: u64) -> Option<()> {
        let mut gather = self.gather();
        let short_cut = self.takes_short_cut();
        let (pending, spared, epoch) = {
            let mut tables = self.tables.lock();
            // Under the lock, so that epochs grow in the order in which frames are mapped.
            let frame = self.versioned(page, version)?;
            let epoch = frame.canary().epoch;
            let old = tables.clear(page);
            self.put(&mut tables, page, frame, true)?;
            let mut spared = Vec::new();
            match old {
                Some(old) if short_cut => spared.push((page, old)),
                Some(old) => gather.unmapped(range(page), Held::Page(old)).expect("room for one"),
                None => {}
            }
            (gather.send(), spared, epoch)
        };
        pending.finish();
        flush_here_alone(self.engine.id(), spared);
        self.raise(page, epoch);
        Some(())
    }

    /// Takes the right to write to `page` away, and returns when nobody has it. Returns its frame.
    pub fn protect(&self, page: u8) -> Option<Arc<Frame>> {
        let mut gather = self.gather();
        let (frame, pending) = {
            let tables = self.tables.lock();
            let frame = tables.pages[usize::from(page)].clone()?;
            let entry = tables.entry(page)?;
            entry.store(arch::read_only(entry.load(Ordering::Relaxed)), Ordering::Relaxed);
            gather.changed(range(page));
            (frame, gather.send())
        };
        pending.finish();
        Some(frame)
    }

    /// Gives the right to write to `page` back. Nobody need flush for that: a CPU that has the old right faults.
    pub fn unprotect(&self, page: u8) {
        let tables = self.tables.lock();
        if let (Some(frame), Some(entry)) = (&tables.pages[usize::from(page)], tables.entry(page)) {
            entry.store(arch::page_entry(frame.address(), true), Ordering::Release);
        }
    }

    /// Unmaps a region and gives its leaf table back.
    pub fn free_table(&self, region: usize) {
        let mut gather: Gather<'_, Kernel, Held, { 2 * BATCH }> = ENGINE.gather(&self.engine);
        let (pending, epoch) = {
            let mut tables = self.tables.lock();
            for page in window::pages_of(region) {
                if let Some(frame) = tables.clear(page) {
                    gather.unmapped(range(page), Held::Page(frame)).expect("room for a region");
                }
            }
            paging::region_entry(tables.middle, region).store(0, Ordering::Relaxed);
            if let Some(table) = tables.leaves[region].take() {
                gather.table_freed(region_range(region), Held::Table(table)).expect("room for a table");
            }
            (gather.send(), frames::next_epoch())
        };
        pending.finish();
        window::pages_of(region).for_each(|page| self.raise(page, epoch));
    }

    /// Reads `page` through the loaded tables, which are this space's, and checks what it finds.
    pub fn check(&self, page: u8) -> Met {
        let floor = self.floors[usize::from(page)].load(Ordering::Acquire);
        let Some(found) = arch::load_user(window::address(page)).map(Canary::unpack) else {
            return Met::Fault;
        };
        if found.owner == self.brand && found.page == page && found.epoch >= floor {
            return Met::Page;
        }
        findings::report(Finding::StaleRead { page, owner: self.brand, floor, found });
        Met::Stale
    }

    /// Writes to `page` through the loaded tables, which are this space's.
    pub fn scribble(&self, page: u8) -> Met {
        let value = u64::from(self.brand) << 12 | arch::this_cpu() as u64 | ticket() << 24;
        match arch::store_user(window::address(page) + 8 * frames::SCRATCH as u64, value) {
            true => Met::Page,
            false => Met::Fault,
        }
    }

    /// The frame that is mapped at `page`.
    pub fn frame(&self, page: u8) -> Option<Arc<Frame>> {
        self.tables.lock().pages[usize::from(page)].clone()
    }

    /// The engine's part.
    pub fn engine(&self) -> &AddressSpace<Kernel> {
        &self.engine
    }

    fn gather(&self) -> Held16<'_> {
        ENGINE.gather(&self.engine)
    }

    /// Linux commit bafb056ce279: one user, so nobody else can hold a translation. A kernel thread that is lazy can.
    fn takes_short_cut(&self) -> bool {
        SINGLE_USER_SHORT_CUT.load(Ordering::Relaxed) && self.engine.users() == 1
    }

    fn share_with(&self, child: &Space) -> Option<()> {
        let mut gather = self.gather();
        let pending = {
            let tables = self.tables.lock();
            let mut theirs = child.tables.lock();
            for page in 0..PAGES as u8 {
                let Some(frame) = &tables.pages[usize::from(page)] else { continue };
                if let Some(entry) = tables.entry(page) {
                    entry.store(arch::read_only(entry.load(Ordering::Relaxed)), Ordering::Relaxed);
                    gather.changed(range(page));
                }
                child.put(&mut theirs, page, frame.clone(), false)?;
            }
            gather.send()
        };
        pending.finish();
        Some(())
    }

    fn put(&self, tables: &mut Tables, page: u8, frame: Arc<Frame>, writable: bool) -> Option<()> {
        let region = window::region(page);
        let leaf = match &tables.leaves[region] {
            Some(leaf) => leaf.address(),
            None => {
                let leaf = Frame::table()?;
                let address = leaf.address();
                paging::region_entry(tables.middle, region)
                    .store(arch::table_entry(address), Ordering::Release);
                tables.leaves[region] = Some(leaf);
                address
            }
        };
        // The frame's canary is written before the walker can find it.
        paging::page_entry(leaf, page).store(arch::page_entry(frame.address(), writable), Ordering::Release);
        let before = tables.pages[usize::from(page)].replace(frame);
        assert!(before.is_none(), "page {page} is mapped: nobody would flush what it was");
        arch::tables_written();
        Some(())
    }

    fn raise(&self, page: u8, epoch: u32) {
        self.floors[usize::from(page)].fetch_max(epoch, Ordering::AcqRel);
    }

    fn tear_down(&self) {
        (0..REGIONS).for_each(|region| self.free_table(region));
    }
}

impl Tables {
    fn entry(&self, page: u8) -> Option<&'static AtomicU64> {
        self.leaves[window::region(page)].as_ref().map(|leaf| paging::page_entry(leaf.address(), page))
    }

    /// Clears the entry of a page and takes its frame out.
    fn clear(&mut self, page: u8) -> Option<Arc<Frame>> {
        let frame = self.pages[usize::from(page)].take()?;
        self.entry(page)?.store(0, Ordering::Relaxed);
        Some(frame)
    }
}

/// The short cut: flushes on this CPU alone and gives the frames back.
fn flush_here_alone(of: SpaceId, spared: Vec<(u8, Arc<Frame>)>) {
    for (page, frame) in spared {
        let number = findings::removed(Some(of), range(page));
        let what = LocalFlush { tag: Some(Tag::NONE), request: FlushRequest::pages(range(page)) };
        masked(|| {
            // SAFETY: 1. interrupts are off.
            unsafe { ENGINE.platform().flush_local(what) };
        });
        findings::reused(number);
        drop(frame);
    }
}

/// Gives the tables of a root back.
pub fn free_root(root: u64) {
    let tables = ROOTS.lock().remove(&root);
    assert!(tables.is_some(), "root {root:#x} is freed twice");
    drop(tables);
}

/// Keeps a teardown for later.
pub fn defer(teardown: TeardownHandle<Kernel>) {
    DEFERRED.lock().push(teardown);
}

/// Tears down what waits for it. Not in interrupt handlers.
pub fn reap() {
    loop {
        let Some(deferred) = DEFERRED.lock().pop() else { return };
        let space = deferred.inner().0.clone();
        let teardown = ENGINE.teardown_from_handle(deferred);
        space.tear_down();
        teardown.finish();
    }
}

fn range(page: u8) -> PageRange {
    PageRange::page(VirtAddr(window::address(page)))
}

/// Pages, all of one region.
fn range_of(pages: &Range<u8>) -> PageRange {
    let last = pages.end.saturating_sub(1).max(pages.start);
    assert_eq!(window::region(pages.start), window::region(last), "between regions is a gap");
    PageRange::new(VirtAddr(window::address(pages.start)), pages.len() as u64, PageSize::Size4K)
        .expect("pages are aligned")
}

fn region_range(region: usize) -> PageRange {
    PageRange::new(VirtAddr(window::region_address(region)), 1, PageSize::Size2M)
        .expect("regions are aligned")
}

/// A number that differs each time.
fn ticket() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
