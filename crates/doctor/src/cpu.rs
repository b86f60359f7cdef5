//! What scenario code can have a CPU do: the verbs of a small kernel.

use crate::sim::{Sim, Wires};
use crate::size::Layout;
use crate::world::{PlatformUnderTest, World, frame, kernel_frame, note};
use shootdown::flush::{FlushRequest, Gather, PageRange, VirtAddr};
use shootdown::refs::{StructHandle, StructRef, Teardown, UserHandle, UserRef};
use shootdown::{AddressSpace, Shootdown};
use shootdown_explore::sync;
use shootdown_machine::{Machine, hw};
use std::sync::atomic::Ordering::Relaxed;

/// A CPU, for scenario code.
pub(crate) struct Cpu<'w, P: PlatformUnderTest> {
    world: &'w World<P>,
    pub(crate) id: usize,
}

/// An unmapped frame or table; given back when dropped.
enum Page {
    Frame(usize),
    Table(u64),
}

impl Drop for Page {
    fn drop(&mut self) {
        match *self {
            Page::Frame(frame) => hw::free_frame(frame),
            Page::Table(table) => hw::free_table(table),
        }
    }
}

/// A page of small ones.
fn page_of(range: PageRange, page: usize) -> VirtAddr {
    VirtAddr(range.start().0 + ((page as u64) << 12))
}

impl<'w, P: PlatformUnderTest> Cpu<'w, P> {
    pub(crate) fn new(world: &'w World<P>, id: usize) -> Self {
        Self { world, id }
    }

    pub(crate) fn engine(&self) -> &'static Shootdown<P> {
        self.world.engine
    }

    pub(crate) fn platform(&self) -> &'static P {
        self.world.engine.platform()
    }

    pub(crate) fn wires(&self) -> &'static Wires {
        self.world.wires
    }

    pub(crate) fn machine(&self) -> &'static Machine {
        self.world.machine()
    }

    pub(crate) fn space(&self, space: usize) -> &'static AddressSpace<P> {
        self.world.spaces[space]
    }

    /// The user reference that the thread on this CPU owns, or one of the sleepers'.
    pub(crate) fn user(&self, space: usize) -> UserRef<'static, P> {
        // SAFETY: 1. the plan counted it; each scenario takes up each reference once.
        let user = unsafe { UserHandle::from_inner(self.space(space)) };
        self.engine().user_from_handle(user)
    }

    /// A struct reference that the plan counted.
    pub(crate) fn pinned(&self, space: usize) -> StructRef<'static, P> {
        // SAFETY: 1. the plan counted it; each scenario takes up each reference once.
        let pin = unsafe { StructHandle::from_inner(self.space(space)) };
        self.engine().struct_from_handle(pin)
    }

    /// Schedules a thread of the space.
    pub(crate) fn run(&self, space: usize) {
        note("switch");
        let user = self.user(space);
        hw::user(false);
        Self::walks(false);
        P::enter_user(self.engine(), &user);
        Self::walks(true);
        hw::user(true);
        let _ = user.into_handle();
    }

    /// Schedules a kernel thread.
    pub(crate) fn go_lazy(&self) {
        note("go lazy");
        hw::user(false);
        Self::walks(false);
        P::leave_user(self.engine());
    }

    /// Begins to walk the page tables with user code, or ends with it, where no hardware walks them at any time.
    fn walks(on: bool) {
        if !P::HARDWARE_WALKER {
            hw::running(on);
        }
    }

    /// Unmaps a page and gives its frame back.
    pub(crate) fn unmap(&self, space: usize, page: usize) {
        note(["munmap page 0", "munmap page 1"][page]);
        let mut gather = self.engine().gather::<Page, 1>(self.space(space));
        if let Some(frame) = self.clear(space, page) {
            assert!(gather.unmapped(self.range(page), frame).is_ok(), "one frame fits");
        }
        gather.finish();
        hw::unreachable(space, page);
    }

    /// The same where the flush covers all of the space.
    pub(crate) fn unmap_by_flushing_all(&self, space: usize, page: usize) {
        note("unmap page 1, and flush everything");
        let frame = self.clear(space, page);
        self.engine().flush(self.space(space), FlushRequest::all());
        drop(frame);
        hw::unreachable(space, page);
    }

    /// Unmaps both pages by one request that frees no table.
    fn unmap_both(&self, space: usize, layout: Layout) {
        note("unmap both ends of a range");
        let frames = [self.clear(space, 0), self.clear(space, 1)];
        self.engine().flush(self.space(space), FlushRequest::pages(self.pages(layout)));
        drop(frames);
        (0..2).for_each(|page| hw::unreachable(space, page));
    }

    /// Unmaps by each kind of request: a page, then a table with the other page; all of a space; many pages; large ones.
    pub(crate) fn unmap_in_each_way(&self, space: usize) {
        match sync::choose(4) {
            0 => {
                self.unmap(space, 0);
                self.unmap_table(space);
            }
            1 => self.unmap_by_flushing_all(space, 1),
            2 => self.unmap_both(space, Layout::Ends),
            _ => self.unmap_both(space, Layout::Large),
        }
    }

    /// The same of kernel memory: a page, then all; many pages; large ones; a table with both.
    pub(crate) fn unmap_kernel_in_each_way(&self) {
        match sync::choose(4) {
            0 => {
                self.unmap_kernel(0);
                self.unmap_kernel_by_flushing_all(1);
            }
            1 => self.unmap_kernel_pages(Layout::Ends),
            2 => self.unmap_kernel_pages(Layout::Large),
            _ => self.unmap_kernel_table(),
        }
    }

    fn unmap_kernel_pages(&self, layout: Layout) {
        note("unmap both ends of a range of kernel memory");
        (0..2).for_each(|page| self.machine().tables.kernel(page).store(0, Relaxed));
        self.engine().flush_kernel(FlushRequest::pages(self.kernel_pages(layout)));
        (0..2).for_each(|page| hw::free_frame(kernel_frame(page)));
    }

    /// Unhooks the table of kernel memory, and gives it and its pages back.
    fn unmap_kernel_table(&self) {
        note("free the table of kernel memory");
        self.machine().tables.kernel_link().store(0, Relaxed);
        self.engine().flush_kernel(FlushRequest::pages(self.kernel_pages(Layout::Pair)).tables_freed());
        (0..2).for_each(|page| hw::free_frame(kernel_frame(page)));
        hw::free_table(self.machine().tables.kernel_table());
    }

    /// The same with interrupts off all along.
    pub(crate) fn unmap_masked(&self, space: usize, page: usize) {
        self.masked(|| self.unmap(space, page));
    }

    /// Runs something with interrupts off, which must leave them off.
    pub(crate) fn masked(&self, something: impl FnOnce()) {
        self.wires().with_interrupts_off(something);
    }

    /// Unhooks the leaf table and gives back whatever it held, and itself.
    pub(crate) fn unmap_table(&self, space: usize) {
        note("free the page table");
        let mut gather = self.engine().gather::<Page, 3>(self.space(space));
        self.gather_all(&mut gather, space);
        gather.finish();
    }

    /// Unmaps a kernel page and gives its frame back.
    pub(crate) fn unmap_kernel(&self, page: usize) {
        note("unmap kernel page");
        let range = PageRange::page(page_of(self.kernel_pages(Layout::Pair), page));
        self.unmap_kernel_by(page, FlushRequest::pages(range));
    }

    /// The same where the flush covers all of kernel memory.
    pub(crate) fn unmap_kernel_by_flushing_all(&self, page: usize) {
        note("unmap kernel page, and flush everything");
        self.unmap_kernel_by(page, FlushRequest::all());
    }

    fn unmap_kernel_by(&self, page: usize, request: FlushRequest) {
        self.machine().tables.kernel(page).store(0, Relaxed);
        self.engine().flush_kernel(request);
        hw::free_frame(kernel_frame(page));
    }

    /// A page as the engine names it.
    pub(crate) fn range(&self, page: usize) -> PageRange {
        PageRange::page(page_of(self.both(), page))
    }

    /// Both pages, wherever they lie.
    pub(crate) fn pages(&self, layout: Layout) -> PageRange {
        layout.range(false, P::RANGE_CEILING)
    }

    /// The same of kernel memory.
    pub(crate) fn kernel_pages(&self, layout: Layout) -> PageRange {
        layout.range(true, P::RANGE_CEILING)
    }

    /// Both pages of a table.
    pub(crate) fn both(&self) -> PageRange {
        self.pages(Layout::Pair)
    }

    fn clear(&self, space: usize, page: usize) -> Option<Page> {
        if self.wires().profile.slow_tables {
            self.wires().clear_slowly(page);
            return Some(Page::Frame(frame(space, page)));
        }
        let entry = self.machine().tables.leaf(space, page);
        let old = entry.load(Relaxed);
        if old == 0 {
            return None;
        }
        entry.store(0, Relaxed);
        Some(Page::Frame(old as usize))
    }

    fn gather_all(&self, gather: &mut Gather<'_, P, Page, 3>, space: usize) {
        for page in 0..2 {
            if let Some(frame) = self.clear(space, page) {
                assert!(gather.unmapped(self.range(page), frame).is_ok(), "three fit");
            }
        }
        let entry = self.machine().tables.root(space, 0);
        let table = entry.load(Relaxed);
        if table != 0 {
            entry.store(0, Relaxed);
            assert!(gather.table_freed(self.both(), Page::Table(table)).is_ok(), "three fit");
        }
    }

    /// Ends the thread that runs here: its CPU goes lazy, its reference goes, and the last one tears down.
    pub(crate) fn exit(&self, space: usize) {
        self.go_lazy();
        self.put(space, self.user(space));
    }

    /// The same, and the reference goes with interrupts off.
    pub(crate) fn exit_masked(&self, space: usize) {
        self.go_lazy();
        self.masked(|| self.put(space, self.user(space)));
    }

    /// Gives up a user reference; tears down if it was the last.
    pub(crate) fn put(&self, space: usize, user: UserRef<'_, P>) {
        note("put user");
        let last = user.put();
        if let Some(teardown) = last {
            self.tear_down(space, teardown);
        }
    }

    /// Unmaps all of a space that has no user left.
    pub(crate) fn tear_down(&self, space: usize, teardown: Teardown<'_, P>) {
        note("teardown");
        hw::teardown(space);
        let mut gather = self.engine().gather::<Page, 3>(&teardown);
        self.gather_all(&mut gather, space);
        gather.finish();
        note("drop struct");
        teardown.finish();
    }

    /// Runs the teardowns that the platform was handed.
    pub(crate) fn reap(&self) {
        note("reap");
        let deferred = self.platform().deferred();
        if let Some(late) = deferred {
            let index = Sim::space_of(late.root().into()).unwrap_or(0);
            self.tear_down(index, self.engine().teardown_from_handle(late));
        }
    }

    /// What an outsider with a struct reference does: upgrade, borrow, touch a page, give everything back.
    pub(crate) fn upgrade_and_borrow(&self, space: usize, pin: &StructRef<'_, P>) {
        note("upgrade");
        let upgraded = pin.upgrade();
        if let Ok(user) = upgraded {
            note("borrow");
            let borrow = self.engine().borrow(&user).expect("this CPU runs a kernel thread");
            hw::user(true);
            hw::user(false);
            note("give back");
            drop(borrow);
            self.put(space, user);
        }
    }
}
