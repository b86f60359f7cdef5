//! The addresses to flush stand in a batch that is used again before the other CPUs have read it.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-f36391d2-sparc64-batch",
    id: "D19",
    source: "f36391d2790d",
    year: 2013,
    title: "sparc64: Fix race in TLB batch processing",
    arch: "sparc64",
    rules: &[6, 8],
    about: "A cross call that only waits for its delivery tells another CPU to flush the batch; the batch is \
            refilled before that CPU has read it, which then flushes the wrong address.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "history-overflow",
    ..Bug::race(Memory::Tso, Batch::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const OTHER: usize = 1;
const CALL: u8 = 0;

/// The pages to flush, and how far the other CPU has come with the calls that it was sent.
#[derive(Debug)]
struct Pending {
    count: Word,
    page: Word,
    delivered: Word,
    done: Word,
}

/// CPU 0 unmaps two pages, in two batches; then the frame of the first is freed, while that of the second belongs to a
/// file and stays. CPU 1 runs another thread of the process.
#[derive(Debug)]
pub(crate) struct Batch {
    variant: Variant,
    machine: Machine,
    pending: Pending,
}

impl Batch {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .own_page(SPACE, 1, 2)
            .start(0, SPACE, TAG, false)
            .start(OTHER, SPACE, TAG, true)
            .must_free_frame(1);
        let pending = Pending {
            count: Word::new("batch.count", 0),
            page: Word::new("batch.page", 0),
            delivered: Word::new("batch.delivered", 0),
            done: Word::new("batch.done", 0),
        };
        machine.runs(|machine| Self { variant, machine, pending })
    }

    fn unmap(&self) {
        for (calls, page) in [(1, 0), (2, 1)] {
            sync::note(if page == 0 { "munmap page 0" } else { "munmap page 1" });
            self.machine.tables.leaf(SPACE, page).swap(0, AcqRel);
            self.pending.page.store(page as u64, Relaxed);
            self.pending.count.store(1, Relaxed);
            self.call(calls);
            hw::flush_page(TAG, page, WalkCache::Drop);
            self.pending.count.store(0, Relaxed);
        }
        hw::free_frame(1);
    }

    /// Has CPU 1 flush what is pending: call number `calls`.
    fn call(&self, calls: u64) {
        sync::fence(SeqCst);
        sync::raise(OTHER, CALL);
        match self.variant {
            Variant::Broken => sync::wait_until(|| self.pending.delivered.load(Acquire) == calls),
            _ => sync::wait_until(|| self.pending.done.load(Relaxed) == calls),
        }
    }

    fn serve(&self) {
        self.pending.delivered.fetch_add(1, AcqRel);
        if self.pending.count.load(Relaxed) != 0 {
            hw::flush_page(TAG, self.pending.page.load(Relaxed) as usize, WalkCache::Drop);
        }
        self.pending.done.fetch_add(1, AcqRel);
    }
}

impl Program for Batch {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (OTHER, CALL), "only CPU 0 calls");
        self.serve();
    }
}
