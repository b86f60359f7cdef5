//! Verbs of threads that unmap from several spaces at once, and of those that wait for other CPUs' ticks.

use super::cpu::{Cpu, whole_table};
use super::pages::page_address;
use super::retired::ROOM;
use super::sim::{Sim, TestMachine};
use super::world::Page;
use shootdown::flush::{Batch, Deferral, PageRange};
use shootdown_explore::sync;
use std::sync::atomic::Ordering;

type PageBatch<S> = Batch<'static, Sim<S>, Page, ROOM, 2>;

impl<S: TestMachine> Cpu<'_, S> {
    /// Takes a timer tick, or comes into the kernel: catches up with what was announced.
    pub fn tick(&self) {
        sync::note("tick");
        self.engine().catch_up();
    }

    fn part(&self, batch: &mut PageBatch<S>, space: usize, page: usize) {
        let mut part = batch.gather(self.space(space)).expect("two parts fit");
        if let Some(frame) = self.clear(space, page) {
            assert!(part.unmapped(PageRange::page(page_address(page)), frame).is_ok(), "three fit");
        }
    }

    /// Unmaps page 0 of each of these spaces.
    fn batch_of(&self, spaces: [usize; 2]) -> PageBatch<S> {
        sync::note("unmap in a batch");
        let mut batch = self.engine().batch();
        for space in spaces {
            self.part(&mut batch, space, 0);
        }
        batch
    }

    /// Unmaps page 0 of each of these spaces in a batch, and gives the frames back.
    pub fn unmap_batch(&self, spaces: [usize; 2]) {
        self.batch_of(spaces).finish();
    }

    /// The same, with the frames retired.
    pub fn retire_batch(&self, spaces: [usize; 2]) {
        let mut queue = self.queue();
        assert!(self.batch_of(spaces).retire_into(&mut queue).is_ok(), "two frames and a part fit");
        self.reclaim_all(queue, 2);
    }

    /// The same without an interrupt, until the frames are looked for twice.
    pub fn defer_batch(&self, spaces: [usize; 2]) {
        let mut queue = self.queue();
        let deferred = self.batch_of(spaces).defer_into(&mut queue, Deferral::polls(2));
        assert!(deferred.is_ok(), "two frames and a part fit");
        self.reclaim_all(queue, 2);
    }

    /// Frees the page table of a space and unmaps page 0 of another in a batch.
    pub fn unmap_table_in_a_batch_with(&self, table_of: usize, page_of: usize) {
        sync::note("free a page table in a batch");
        let mut batch = self.engine().batch::<Page, 4, 2>();
        let mut part = batch.gather(self.space(table_of)).expect("two parts fit");
        for page in 0..2 {
            if let Some(frame) = self.clear(table_of, page) {
                assert!(part.unmapped(PageRange::page(page_address(page)), frame).is_ok(), "four fit");
            }
        }
        let table = self.take_entry(self.world.machine.tables.root(table_of, 0));
        assert!(part.table_freed(whole_table(), Page::Table(table)).is_ok(), "four fit");
        part.announce();
        let mut part = batch.gather(self.space(page_of)).expect("two parts fit");
        let frame = self.clear(page_of, 0).expect("nobody else clears it");
        assert!(part.unmapped(PageRange::page(page_address(0)), frame).is_ok(), "four fit");
        drop(part);
        batch.finish();
    }

    /// Unmaps a page in a batch, says so by request `number` before other CPUs are told, and gives the frame back.
    pub fn batch_unmap_and_tell(&self, space: usize, page: usize, number: u64) {
        sync::note("unmap in a batch, and tell");
        let mut batch = self.engine().batch();
        self.part(&mut batch, space, page);
        self.submit(number);
        batch.finish();
    }

    /// Unmaps a page without an interrupt and gives its frame back: looks twice whether CPUs have caught up, and then
    /// waits.
    pub fn defer_unmap(&self, space: usize, page: usize) {
        self.defer(space, page, Deferral::FOREVER);
    }

    /// The same, where CPUs are interrupted after the first look.
    pub fn defer_unmap_once(&self, space: usize, page: usize) {
        self.defer(space, page, Deferral::polls(1));
    }

    fn defer(&self, space: usize, page: usize, until: Deferral) {
        sync::note("defer an unmap");
        let mut queue = self.queue();
        let range = PageRange::page(page_address(page));
        let mut gather = self.engine().gather_within::<Page, 1>(self.space(space), range);
        let frame = self.clear(space, page).map(|frame| gather.unmapped(range, frame));
        let retired = usize::from(frame.is_some_and(|full| full.is_ok()));
        assert!(gather.defer_into(&mut queue, until).is_ok(), "one fits");
        self.reclaim_all(queue, retired);
    }

    /// Unmaps a page without an interrupt, says so by request `number`, and gives the frame back later.
    pub fn defer_unmap_and_tell(&self, space: usize, page: usize, number: u64) {
        sync::note("defer an unmap, and tell");
        let mut queue = self.queue();
        let range = PageRange::page(page_address(page));
        let mut gather = self.engine().gather_within::<Page, 1>(self.space(space), range);
        let frame = self.clear(space, page).expect("nobody else clears it before");
        assert!(gather.unmapped(range, frame).is_ok(), "one fits");
        assert!(gather.defer_into(&mut queue, Deferral::FOREVER).is_ok(), "one fits");
        self.submit(number);
        self.reclaim_all(queue, 1);
    }

    /// Frees the leaf table without an interrupt.
    pub fn defer_table(&self, space: usize) {
        sync::note("defer the end of the page table");
        let mut queue = self.queue();
        let mut gather = self.engine().gather::<Page, ROOM>(self.space(space));
        self.gather_all(&mut gather, space);
        let retired = ROOM - gather.room();
        assert!(gather.defer_into(&mut queue, Deferral::FOREVER).is_ok(), "three fit");
        self.reclaim_all(queue, retired);
    }

    /// Unmaps a kernel page without an interrupt.
    pub fn defer_kernel(&self, page: usize) {
        sync::note("defer a kernel page");
        let mut queue = self.queue();
        let mut gather = self.engine().kernel().gather::<Page, 1>();
        self.world.machine.tables.kernel(page).store(0, Ordering::Relaxed);
        let range = PageRange::page(page_address(page));
        assert!(gather.unmapped(range, self.kernel_page(page)).is_ok(), "one fits");
        assert!(gather.defer_into(&mut queue, Deferral::FOREVER).is_ok(), "one fits");
        self.reclaim_all(queue, 1);
    }
}
