//! A process leaves a shared page table without a flush; the table's pages are freed by way of another.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-a4a118f2-unshare-flush",
    id: "D7",
    source: "a4a118f2eead (CVE-2021-4002)",
    year: 2021,
    title: "hugetlbfs: flush TLBs correctly after huge_pmd_unshare",
    rules: &[8],
    about: "A process leaves a page table that it shares and flushes nothing; the file is truncated, the page \
            found in the other process only, flushed there only, and freed.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    ..Bug::race(Memory::Tso, Unshare::model)
};

const FIRST: usize = 0;
const SECOND: usize = 1;
const TABLE: u64 = 1;
const TAG: u8 = 0;
const TRUNCATOR: usize = 1;
const FLUSH: u64 = 1;

/// Two processes share table 1, which maps a file. CPU 0 runs a thread of the first, which takes the table out of its
/// own tree; CPU 1 runs another thread of the first, which truncates the file. The second process does not run.
#[derive(Debug)]
pub(crate) struct Unshare {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// Lock of the file's tree of areas.
    i_mmap: Lock,
}

impl Unshare {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .spaces(2, 1)
            .translation(1, None, true)
            .map(FIRST, 0, 1)
            .link_table(SECOND, 0, TABLE)
            .start(0, FIRST, TAG, false)
            .start(TRUNCATOR, FIRST, TAG, false)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            mm: Mm::new(2, 1, 0b11),
            calls: CrossCall::new(2),
            i_mmap: Lock::new("i_mmap.held"),
        })
    }

    /// Flushes the first process.
    fn flush(&self, cpu: usize) {
        sync::fence(SeqCst);
        self.calls.call(cpu, self.mm.members(), FLUSH);
        hw::flush_page(TAG, 0, WalkCache::Drop);
    }

    fn unshare(&self) {
        sync::note("leave the shared table");
        self.i_mmap.lock();
        self.machine.tables.root(FIRST, 0).swap(0, AcqRel);
        if self.variant == Variant::Fixed {
            self.flush(0);
        }
        self.i_mmap.unlock();
    }

    fn truncate(&self) {
        sync::note("truncate the file");
        self.i_mmap.lock();
        let mapped_here = self.machine.tables.root(FIRST, 0).load(Acquire) != 0;
        self.machine.tables.slot(TABLE, 0).swap(0, AcqRel);
        if mapped_here {
            self.flush(TRUNCATOR);
        }
        // The second process has run nowhere since it mapped the file: there is nobody to flush for it.
        self.i_mmap.unlock();
        hw::free_frame(1);
    }
}

impl Program for Unshare {
    fn main(&self, cpu: usize) {
        if cpu == TRUNCATOR {
            self.truncate();
            sync::note("back to user mode");
            hw::user(true);
        } else {
            self.unshare();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }
}
