//! Verbs of threads that are moved to another CPU between sending a flush and waiting for it: nothing pins them
//! meanwhile.

use super::cpu::Cpu;
use super::pages::page_address;
use super::sim::{Sim, TestMachine};
use super::world::{Page, kernel_frame};
use shootdown::Platform;
use shootdown::flush::{FlushRequest, Gather, PageRange, Parts, Pending, PendingFrames};
use shootdown_explore::sync;
use shootdown_machine::hw;
use std::sync::atomic::Ordering;

/// Frames and tables that a thread carries at most.
const CARRIED: usize = 3;

impl<S: TestMachine> Cpu<'_, S> {
    /// Unmaps a page and sends the flush; from here on the thread is on whichever CPU
    /// [finishes](Self::finish_carried) request `number`.
    pub fn send_unmap(&self, space: usize, page: usize, number: u64) {
        sync::note("send unmap, and move");
        let mut gather = self.engine().gather::<Page, CARRIED>(self.space(space));
        if let Some(frame) = self.clear(space, page) {
            assert!(gather.unmapped(PageRange::page(page_address(page)), frame).is_ok(), "three fit");
        }
        self.carry(gather, number);
    }

    /// The same of a page table and all that it maps.
    pub fn send_unmap_table(&self, space: usize, number: u64) {
        sync::note("send the freeing of a page table, and move");
        let mut gather = self.engine().gather::<Page, CARRIED>(self.space(space));
        self.gather_all(&mut gather, space);
        self.carry(gather, number);
    }

    fn carry(&self, gather: Gather<'_, Sim<S>, Page, CARRIED>, number: u64) {
        let Parts { flush, number: checked, frames } = gather.send().into_parts();
        let carried = &self.engine().platform().carried;
        carried[0].store(flush.map_or(0, Pending::into_word), Ordering::Relaxed);
        carried[1].store(
            frames.into_iter().fold(0, |word, page| word << 8 | page.map_or(0, into_byte)),
            Ordering::Relaxed,
        );
        carried[2].store(checked, Ordering::Relaxed);
        self.submit(number);
    }

    /// Goes on with the thread that was moved here: waits for its flush, and gives back what was unmapped.
    pub fn finish_carried(&self, space: usize, number: u64) {
        self.take_carried(space, number).finish();
    }

    /// What the thread that was moved here carries.
    pub(crate) fn take_carried(
        &self,
        space: usize,
        number: u64,
    ) -> PendingFrames<'static, Sim<S>, Page, CARRIED> {
        self.await_request(number);
        sync::note("finish what another CPU sent");
        let engine = self.engine();
        let [flush, frames, checked] =
            [0, 1, 2].map(|part: usize| engine.platform().carried[part].load(Ordering::Relaxed));
        let parts = Parts {
            flush: Some(engine.pending_from_word(self.space(space), flush)),
            number: checked,
            frames: [16, 8, 0].map(|shift| from_byte(frames >> shift & 0xff)),
        };
        PendingFrames::from_parts(engine, self.space(space), parts)
    }

    /// The same with interrupts off all along.
    pub fn finish_carried_masked(&self, space: usize, number: u64) {
        self.await_request(number);
        let were_on = sync::irq_save();
        self.finish_carried(space, number);
        sync::irq_restore(were_on);
    }

    /// Unmaps a kernel page and sends the flush, likewise.
    pub fn send_unmap_kernel(&self, page: usize, number: u64) {
        sync::note("send unmap of a kernel page, and move");
        self.world.machine.tables.kernel(page).store(0, Ordering::Relaxed);
        let request = FlushRequest::pages(PageRange::page(page_address(page)));
        let platform = self.engine().platform();
        let checked = platform.removed(None, request);
        let flush = self.engine().send_kernel(request).into_word();
        platform.carried[0].store(flush, Ordering::Relaxed);
        platform.carried[2].store(checked, Ordering::Relaxed);
        self.submit(number);
    }

    /// Goes on with that thread.
    pub fn finish_carried_kernel(&self, page: usize, number: u64) {
        self.await_request(number);
        sync::note("finish what another CPU sent");
        let platform = self.engine().platform();
        let flush = platform.carried[0].load(Ordering::Relaxed);
        let checked = platform.carried[2].load(Ordering::Relaxed);
        self.engine().pending_from_word(self.space(0), flush).finish();
        platform.released(checked);
        hw::free_frame(kernel_frame(self.world.spaces.len(), page));
    }
}

const TABLE: u64 = 0x80;

/// The number held, as a byte that is not 0; it is not given back.
fn into_byte(page: Page) -> u64 {
    let byte = match page {
        Page::Frame(frame) => frame as u64,
        Page::Table(table) => TABLE | table,
    };
    std::mem::forget(page);
    byte
}

fn from_byte(byte: u64) -> Option<Page> {
    match byte {
        0 => None,
        _ if byte & TABLE == 0 => Some(Page::Frame(byte as usize)),
        _ => Some(Page::Table(byte & !TABLE)),
    }
}
