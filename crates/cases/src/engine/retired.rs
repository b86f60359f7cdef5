//! Verbs of threads that do not wait for their flushes: tickets, and queues of frames behind them.

use super::cpu::{Cpu, whole_table};
use super::pages::page_address;
use super::sim::{Sim, TestMachine};
use super::world::{Page, kernel_frame};
use shootdown::flush::{FlushRequest, PageRange, Retired};
use shootdown_explore::sync;
use std::sync::atomic::Ordering;

/// Frames and tables that wait for a flush at most.
pub(super) const ROOM: usize = 3;

pub(super) type Queue<S> = Retired<'static, Sim<S>, Page, ROOM>;

impl<S: TestMachine> Cpu<'_, S> {
    pub(super) fn queue(&self) -> Queue<S> {
        Retired::new(self.engine())
    }

    /// Looks twice what can be given back, waits for the rest, and sees that nothing was lost of `retired` frames and
    /// tables.
    pub(super) fn reclaim_all(&self, mut queue: Queue<S>, retired: usize) {
        sync::note("reclaim");
        let mut freed = queue.reclaim(drop) + queue.reclaim(drop);
        queue.finish_with(|page| {
            freed += 1;
            drop(page);
        });
        // Without SD-8 frames are gone as soon as the flush is sent.
        assert!(freed == retired || freed == 0, "{freed} of {retired} came out");
    }

    /// Unmaps a page and retires its frame.
    pub fn retire_unmap(&self, space: usize, page: usize) {
        sync::note("retire an unmapped page");
        let mut queue = self.queue();
        let range = PageRange::page(page_address(page));
        let mut gather = self.engine().gather_within::<Page, 1>(self.space(space), range);
        let frame = self.clear(space, page).map(|frame| gather.unmapped(range, frame));
        let retired = usize::from(frame.is_some_and(|full| full.is_ok()));
        assert!(gather.send().retire_into(&mut queue).is_ok(), "one fits");
        self.reclaim_all(queue, retired);
    }

    /// The same with interrupts off until it is retired, and a wait with interrupts off too.
    pub fn retire_unmap_masked(&self, space: usize, page: usize) {
        let were_on = sync::irq_save();
        self.retire_unmap(space, page);
        sync::irq_restore(were_on);
    }

    /// Unhooks the leaf table and retires it with whatever it held.
    pub fn retire_table(&self, space: usize) {
        sync::note("retire the page table");
        let mut queue = self.queue();
        let mut gather = self.engine().gather::<Page, ROOM>(self.space(space));
        self.gather_all(&mut gather, space);
        let retired = ROOM - gather.room();
        assert!(gather.send().retire_into(&mut queue).is_ok(), "three fit");
        self.reclaim_all(queue, retired);
    }

    /// Unmaps a page, retires its frame, says so by request `number`, and gives the frame back later.
    pub fn retire_unmap_and_tell(&self, space: usize, page: usize, number: u64) {
        sync::note("retire an unmapped page, and tell");
        let mut queue = self.queue();
        let range = PageRange::page(page_address(page));
        let mut gather = self.engine().gather_within::<Page, 1>(self.space(space), range);
        let frame = self.clear(space, page).expect("nobody else clears it before");
        assert!(gather.unmapped(range, frame).is_ok(), "one fits");
        assert!(gather.send().retire_into(&mut queue).is_ok(), "one fits");
        self.submit(number);
        self.reclaim_all(queue, 1);
    }

    /// Goes on with a thread that [sent an unmap](Self::send_unmap) on another CPU: retires what it carries.
    pub fn retire_carried(&self, space: usize, number: u64) {
        let pending = self.take_carried(space, number);
        let mut queue = self.queue();
        assert!(pending.retire_into(&mut queue).is_ok(), "three fit");
        self.reclaim_all(queue, 1);
    }

    /// Flushes a page, to no purpose, and asks twice for its completion.
    pub fn ask_twice(&self, space: usize, page: usize) {
        sync::note("ask twice whether a flush is complete");
        let request = FlushRequest::pages(PageRange::page(page_address(page)));
        let mut ticket = self.engine().send(self.space(space), request).detach();
        let mut ask = || self.engine().is_complete(&mut ticket) == Ok(true);
        let (first, second) = (ask(), ask());
        assert!(second || !first, "a flush that was complete is so no more");
        self.engine().wait(ticket).expect("this engine's");
    }

    /// Unmaps a kernel page in a gather.
    pub fn gather_kernel(&self, page: usize) {
        sync::note("gather a kernel page");
        let mut gather = self.engine().kernel().gather::<Page, 1>();
        self.world.machine.tables.kernel(page).store(0, Ordering::Relaxed);
        assert!(
            gather.unmapped(PageRange::page(page_address(page)), self.kernel_page(page)).is_ok(),
            "one fits"
        );
        gather.finish();
    }

    /// Unhooks the kernel's table in a gather, with what it maps.
    pub fn gather_kernel_table(&self) {
        sync::note("gather the kernel's page table");
        let tables = &self.world.machine.tables;
        let mut gather = self.engine().kernel().gather_within::<Page, ROOM>(whole_table());
        tables.kernel_link().store(0, Ordering::Relaxed);
        assert!(gather.table_freed(whole_table(), Page::Table(tables.kernel_table())).is_ok(), "three fit");
        for page in 0..2 {
            let range = PageRange::page(page_address(page));
            assert!(gather.unmapped(range, self.kernel_page(page)).is_ok(), "three fit");
        }
        gather.finish();
    }

    /// Unmaps a kernel page and retires its frame.
    pub fn retire_kernel(&self, page: usize) {
        sync::note("retire a kernel page");
        let mut queue = self.queue();
        let mut gather = self.engine().kernel().gather::<Page, 1>();
        self.world.machine.tables.kernel(page).store(0, Ordering::Relaxed);
        assert!(
            gather.unmapped(PageRange::page(page_address(page)), self.kernel_page(page)).is_ok(),
            "one fits"
        );
        assert!(gather.send().retire_into(&mut queue).is_ok(), "one fits");
        self.reclaim_all(queue, 1);
    }

    pub(super) fn kernel_page(&self, page: usize) -> Page {
        Page::Frame(kernel_frame(self.world.spaces.len(), page))
    }
}
