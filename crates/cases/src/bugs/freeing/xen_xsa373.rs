//! A flush that was given up completes, and passes for the one that is waited for now.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa373-flush-timeout",
    id: "D33",
    source: "7c893abc4ee7, XSA-373 (CVE-2021-28692)",
    year: 2021,
    title: "VT-d: eliminate flush related timeouts",
    kernel: "Xen",
    arch: "x86 (VT-d)",
    rules: &[6, 8],
    about: "Xen gives up waiting for a slow IOMMU flush; when that flush completes, the word that it sets \
            is taken for the completion of the next one.",
    ends: "CPU 1 can still use page 1 of space A -> frame 2, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    ..Bug::race(Memory::Tso, Timeout::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const PENDING: u64 = 0;
const DONE: u64 = 1;

/// CPU 0 takes pages 0 and 1 from a device, one after the other. CPU 1 is the IOMMU, through which the device works all
/// the time.
#[derive(Debug)]
pub(crate) struct Timeout {
    variant: Variant,
    machine: Machine,
    /// Commands to flush a page each, in the order of the queue.
    queue: [Word; 2],
    /// What the IOMMU writes when a command is done.
    status: Word,
}

impl Timeout {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .own_page(SPACE, 1, 2)
            .start(1, SPACE, TAG, true)
            .must_free_frame(2);
        let queue = [Word::new("queue.flush0", 0), Word::new("queue.flush1", 0)];
        machine.runs(|machine| Self { variant, machine, queue, status: Word::new("queue.status", DONE) })
    }

    fn unmap(&self, page: usize) {
        self.machine.tables.leaf(SPACE, page).store(0, Relaxed);
        sync::fence(SeqCst);
        self.status.store(PENDING, Relaxed);
        self.queue[page].store(1, Release);
    }

    fn wait(&self) {
        sync::wait_until(|| self.status.load(Acquire) == DONE);
    }

    fn work_off(&self, page: usize) {
        sync::wait_until(|| self.queue[page].load(Acquire) != 0);
        hw::flush_page(TAG, page, WalkCache::Drop);
        self.status.store(DONE, Release);
    }
}

impl Program for Timeout {
    fn main(&self, cpu: usize) {
        if cpu == 1 {
            return (0..2).for_each(|page| self.work_off(page));
        }
        sync::note("unmap page 0");
        self.unmap(0);
        match self.variant {
            Variant::Broken => sync::note("it takes too long: report an error, keep the frame"),
            _ => self.wait(),
        }
        sync::note("unmap page 1");
        self.unmap(1);
        self.wait();
        hw::free_frame(2);
    }
}
