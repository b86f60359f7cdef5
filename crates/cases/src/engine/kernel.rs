//! Verbs about kernel memory.

use super::cpu::{Cpu, whole_table};
use super::pages::page_address;
use super::sim::TestMachine;
use super::world::kernel_frame;
use shootdown::Platform;
use shootdown::flush::{FlushRequest, PageRange};
use shootdown_explore::sync;
use shootdown_machine::hw;
use std::sync::atomic::Ordering;

impl<S: TestMachine> Cpu<'_, S> {
    /// Unhooks the kernel's table with what it maps and gives both back. Its entries stay as they are, so a CPU that
    /// still walks it finds the pages.
    pub fn unmap_kernel_table(&self) {
        sync::note("free the kernel's page table");
        self.unhook_kernel_table();
        let request = FlushRequest::pages(whole_table()).tables_freed();
        let platform = self.engine().platform();
        let number = platform.removed(None, request);
        self.engine().flush_kernel(request);
        platform.released(number);
        self.free_kernel_table();
    }

    /// The same, but two flushes of page 1 alone, to no purpose, are sent before any is waited for: a CPU that catches
    /// up late has missed several, or is overtaken by them while it catches up.
    pub fn unmap_kernel_table_in_batch(&self) {
        sync::note("free the kernel's page table");
        self.unhook_kernel_table();
        self.flush_kernel_in_batch(FlushRequest::pages(whole_table()).tables_freed());
        self.free_kernel_table();
    }

    /// Unmaps both kernel pages, each with a flush of its own, and flushes page 1 once more, before any flush is waited
    /// for.
    pub fn unmap_kernel_in_batch(&self) {
        sync::note("unmap kernel pages");
        let platform = self.engine().platform();
        let send = |page| {
            self.world.machine.tables.kernel(page).store(0, Ordering::Relaxed);
            let number = platform.removed(None, kernel_page(page));
            (number, self.engine().send_kernel(kernel_page(page)))
        };
        let (first, second) = (send(0), send(1));
        self.engine().send_kernel(kernel_page(1)).finish();
        for (page, (number, pending)) in [first, second].into_iter().enumerate() {
            pending.finish();
            platform.released(number);
            hw::free_frame(kernel_frame(self.world.spaces.len(), page));
        }
    }

    fn flush_kernel_in_batch(&self, request: FlushRequest) {
        let platform = self.engine().platform();
        let number = platform.removed(None, request);
        let first = self.engine().send_kernel(request);
        let second = self.engine().send_kernel(kernel_page(1));
        let third = self.engine().send_kernel(kernel_page(1));
        for pending in [first, second, third] {
            pending.finish();
        }
        platform.released(number);
    }

    fn unhook_kernel_table(&self) {
        self.world.machine.tables.kernel_link().store(0, Ordering::Relaxed);
    }

    fn free_kernel_table(&self) {
        for page in 0..2 {
            hw::free_frame(kernel_frame(self.world.spaces.len(), page));
        }
        hw::free_table(self.world.machine.tables.kernel_table());
    }
}

fn kernel_page(page: usize) -> FlushRequest {
    FlushRequest::pages(PageRange::page(page_address(page)))
}
