//! Verbs of software that walks page tables without a lock, and of threads that free tables under it.

use super::cpu::{Cpu, whole_table};
use super::pages::page_address;
use super::retired::ROOM;
use super::sim::{Sim, TestMachine};
use super::world::{Page, frame};
use shootdown::flush::{FlushRequest, Gather, PageRange};
use shootdown_explore::sync;
use shootdown_machine::hw;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

impl<S: TestMachine> Cpu<'_, S> {
    /// Walks to a page in software and uses it, all with interrupts off (Linux: GUP-fast).
    pub fn walk_masked(&self, space: usize, page: usize) {
        let were_on = sync::irq_save();
        self.walk(space, page);
        sync::irq_restore(were_on);
    }

    /// The same with interrupts as they are.
    pub fn walk(&self, space: usize, page: usize) {
        sync::note("walk in software");
        let table = self.world.machine.tables.root(space, 0).load(Acquire);
        self.walk_table(space, page, table);
    }

    /// The same with the table in a hazard pointer, and interrupts as they are.
    pub fn walk_behind_a_hazard(&self, space: usize, page: usize) {
        sync::note("walk in software, with a hazard pointer");
        let root = self.world.machine.tables.root(space, 0);
        let table = root.load(Acquire);
        let hazard = &self.engine().platform().carried[0];
        hazard.store(table, Relaxed);
        sync::fence(SeqCst);
        // The look at the root must come after the hazard is seen.
        if root.load(Acquire) == table {
            self.walk_table(space, page, table);
        }
        hazard.store(0, Release);
    }

    fn walk_table(&self, space: usize, page: usize, table: u64) {
        if table == 0 {
            return;
        }
        let value = self.world.machine.tables.slot(table, page).load(Acquire);
        if value != 0 {
            hw::access(space, value);
        }
    }

    /// Frees the leaf table with all that it maps; its entries stay as they are, so that a CPU that still walks it
    /// finds pages.
    pub fn free_table_under_walkers(&self, space: usize) {
        let pending = self.unhook(space).send();
        pending.finish_with(|page| self.free_under_walkers(page));
    }

    /// The same by a queue.
    pub fn retire_table_under_walkers(&self, space: usize) {
        let mut queue = self.queue();
        assert!(self.unhook(space).send().retire_into(&mut queue).is_ok(), "three fit");
        queue.reclaim(|page| self.free_under_walkers(page));
        queue.finish_with(|page| self.free_under_walkers(page));
    }

    /// The same where the flush need not interrupt walkers: they are interrupted by themselves (Linux:
    /// `tlb_remove_table_sync_one`).
    pub fn free_table_and_interrupt_walkers(&self, space: usize) {
        let pending = self.unhook(space).send();
        self.engine().flush_kernel(FlushRequest::contexts());
        pending.finish_with(|page| self.free_under_walkers(page));
    }

    /// The same where walkers have hazard pointers.
    pub fn free_table_behind_hazards(&self, space: usize) {
        let pending = self.unhook(space).send();
        let hazard = &self.engine().platform().carried[0];
        sync::wait_until(|| hazard.load(Acquire) == 0);
        pending.finish_with(|page| self.free_under_walkers(page));
    }

    fn unhook(&self, space: usize) -> Gather<'static, Sim<S>, Page, ROOM> {
        sync::note("free the page table under walkers");
        let mut gather = self.engine().gather::<Page, ROOM>(self.space(space));
        let table = self.take_entry(self.world.machine.tables.root(space, 0));
        assert!(gather.table_freed(whole_table(), Page::Table(table)).is_ok(), "three fit");
        for page in 0..2 {
            let range = PageRange::page(page_address(page));
            assert!(gather.unmapped(range, Page::Frame(frame(space, page))).is_ok(), "three fit");
        }
        gather
    }

    /// Gives back; software that reads a table from here on is caught, as hardware is.
    fn free_under_walkers(&self, page: Page) {
        if let Page::Table(table) = page {
            sync::retire(self.world.machine.tables.page(table));
        }
        drop(page);
    }
}
