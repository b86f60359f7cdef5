//! Verbs about gathers that say where they look, and about tables that are unhooked as they are.

use super::cpu::{Cpu, whole_table};
use super::pages::page_address;
use super::sim::{Sim, TestMachine};
use super::world::Page;
use shootdown::flush::{FlushRequest, PageRange, PageSize};
use shootdown_explore::sync;
use shootdown_machine::hw;
use std::ops::Range;
use std::sync::atomic::Ordering;

impl<S: TestMachine> Cpu<'_, S> {
    /// Unmaps `pages` in a gather that says that it looks at `within`, and gives back what it found mapped. When it
    /// returns nobody uses any of them, whether it found them mapped or another had cleared them.
    pub fn unmap_pages(&self, space: usize, within: Range<usize>, pages: &[usize]) {
        sync::note("munmap pages");
        let mut gather = self.engine().gather_within::<Page, 3>(self.space(space), range(&within));
        self.clear_all(&mut gather, space, pages);
        gather.finish();
        self.gone(space, within, pages);
    }

    /// The same, where request `number` says that the entries are cleared, before their flush is sent.
    pub fn unmap_pages_and_tell(&self, space: usize, within: Range<usize>, pages: &[usize], number: u64) {
        sync::note("munmap pages");
        let mut gather = self.engine().gather_within::<Page, 3>(self.space(space), range(&within));
        self.clear_all(&mut gather, space, pages);
        self.submit(number);
        gather.finish();
        self.gone(space, within, pages);
    }

    /// The same, where it says so when the flush is sent and not yet waited for.
    pub fn send_unmap_pages_and_tell(
        &self,
        space: usize,
        within: Range<usize>,
        pages: &[usize],
        number: u64,
    ) {
        sync::note("send munmap of pages");
        let mut gather = self.engine().gather_within::<Page, 3>(self.space(space), range(&within));
        self.clear_all(&mut gather, space, pages);
        let pending = gather.send();
        self.submit(number);
        pending.finish();
        self.gone(space, within, pages);
    }

    /// [`unmap_pages`](Self::unmap_pages), once request `number` was made.
    pub fn await_and_unmap_pages(&self, number: u64, space: usize, within: Range<usize>, pages: &[usize]) {
        self.await_request(number);
        self.unmap_pages(space, within, pages);
    }

    /// Unmaps page 0 in a gather, opens two more that find it gone, and finishes the last one first: when that returns
    /// nobody uses the page.
    pub fn unmap_in_three_gathers(&self, space: usize) {
        sync::note("munmap page 0, with three gathers open");
        let open = || self.engine().gather_within::<Page, 3>(self.space(space), range(&(0..1)));
        let (mut first, mut second, mut third) = (open(), open(), open());
        for gather in [&mut first, &mut second, &mut third] {
            self.clear_all(gather, space, &[0]);
        }
        third.finish();
        hw::unreachable(space, 0);
        second.finish();
        first.finish();
    }

    fn clear_all(
        &self,
        gather: &mut shootdown::flush::Gather<'_, Sim<S>, Page, 3>,
        space: usize,
        pages: &[usize],
    ) {
        for &page in pages {
            if let Some(frame) = self.clear(space, page) {
                assert!(gather.unmapped(range(&(page..page + 1)), frame).is_ok(), "three fit");
            }
        }
    }

    fn gone(&self, space: usize, within: Range<usize>, pages: &[usize]) {
        let outside = pages.iter().copied().filter(|page| !within.contains(page));
        for page in within.clone().chain(outside) {
            hw::unreachable(space, page);
        }
    }

    /// Unhooks the leaf table without a look at its entries and says so by request `number`, with the page-table lock
    /// dropped; then gives it back with all that it maps.
    pub fn unhook_table(&self, space: usize, number: u64) {
        sync::note("unhook the page table");
        let tables = &self.world.machine.tables;
        let mut gather = self.engine().gather_within::<Page, 3>(self.space(space), whole_table());
        let table = self.take_entry(tables.root(space, 0));
        assert!(gather.table_freed(whole_table(), Page::Table(table)).is_ok(), "three fit");
        for page in 0..2 {
            let frame = Page::Frame(tables.leaf(space, page).load(Ordering::Relaxed) as usize);
            assert!(gather.unmapped(range(&(page..page + 1)), frame).is_ok(), "three fit");
        }
        self.submit(number);
        gather.finish();
    }

    /// Unmaps both pages, each with a flush of its own, before either is waited for.
    pub fn unmap_in_batch(&self, space: usize) {
        sync::note("send munmap of each page");
        let send = |page| {
            let mut gather =
                self.engine().gather_within::<Page, 3>(self.space(space), range(&(page..page + 1)));
            self.clear_all(&mut gather, space, &[page]);
            gather.send()
        };
        let (first, second) = (send(0), send(1));
        first.finish();
        second.finish();
        self.gone(space, 0..2, &[]);
    }

    /// Unhooks and gives back the leaf table, and flushes page 1 twice, to no purpose, before any flush is waited for:
    /// a CPU that catches up late has missed several, or is overtaken by them while it catches up.
    pub fn unmap_table_in_batch(&self, space: usize) {
        sync::note("free the page table");
        let mut gather = self.engine().gather::<Page, 3>(self.space(space));
        self.gather_all(&mut gather, space);
        let first = gather.send();
        let page = FlushRequest::pages(range(&(1..2)));
        let second = self.engine().send(self.space(space), page);
        let third = self.engine().send(self.space(space), page);
        second.finish();
        third.finish();
        first.finish();
    }

    /// Looks for page 0, whose table is gone, and finds nothing to unmap.
    pub fn unmap_without_table(&self, space: usize) {
        sync::note("munmap page 0");
        let mut gather = self.engine().gather_within::<Page, 3>(self.space(space), range(&(0..1)));
        if self.world.machine.tables.root(space, 0).load(Ordering::Relaxed) != 0 {
            self.clear_all(&mut gather, space, &[0]);
        }
        gather.finish();
        hw::unreachable(space, 0);
    }
}

fn range(pages: &Range<usize>) -> PageRange {
    let count = pages.len() as u64;
    PageRange::new(page_address(pages.start), count, PageSize::Size4K).expect("pages of a machine")
}
