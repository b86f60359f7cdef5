//! The batch of tables: page-table pages that an unmap takes out are collected, and freed when the flush at the end of
//! the gather has made every CPU forget them. Two shortcuts go past the batch. The cases share this code; bugs differ
//! in which shortcut they take without a flush.
//!
//! CPU 0 unmaps a region and frees its table; it has no root loaded itself, so that only flushes for others count.
//! CPU 1 has the root loaded: it runs a thread of the process, or is lazy.

use super::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Acquire};
use shootdown_explore::sync;
use shootdown_machine::{Machine, Model, Program, hw};

/// What becomes of a table that does not go into the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// It does go into the batch.
    Never,
    /// It is freed at once.
    Free,
    /// It is freed when all CPUs have answered an interrupt, which does no more than wait for lockless walkers.
    SyncAndFree,
    /// It is freed when all CPUs have flushed.
    FlushAndFree,
}

/// What CPU 1 does all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Runs,
    IsLazy,
}

/// The parts that CPUs play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// When the space has less than two users.
    pub(crate) alone: Past,
    /// When there is no memory for the batch.
    pub(crate) no_memory: Past,
    pub(crate) other: Other,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const TABLE: u64 = 1;
const FLUSH: u64 = 1;
const SYNC: u64 = 2;

#[derive(Debug)]
pub(crate) struct TableBatch {
    policy: Policy,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl TableBatch {
    pub(crate) fn model(policy: Policy) -> Model {
        let runs = policy.other == Other::Runs;
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(1, SPACE, TAG, runs)
            .must_free_frame(1)
            .must_free_table(TABLE);
        let users = if runs { 2 } else { 1 };
        machine.runs(|machine| Self {
            policy,
            machine,
            mm: Mm::new(users, 2, 0b10),
            calls: CrossCall::new(2),
        })
    }

    fn unmap(&self) {
        sync::note("unmap page 0 and its table");
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        self.machine.tables.root(SPACE, 0).swap(0, AcqRel);
        let batched = self.remove_table();
        sync::note("end of the gather");
        self.ask(FLUSH);
        hw::free_frame(1);
        if batched {
            hw::free_table(TABLE);
        }
    }

    /// Disposes of the table; returns whether that is left to the end of the gather.
    fn remove_table(&self) -> bool {
        let past = if self.mm.users.load(Acquire) < 2 { self.policy.alone } else { Past::Never };
        let past = if past == Past::Never { self.allocate() } else { past };
        match past {
            Past::Never => return true,
            Past::Free => {}
            Past::SyncAndFree => self.ask(SYNC),
            Past::FlushAndFree => self.ask(FLUSH),
        }
        hw::free_table(TABLE);
        false
    }

    /// Allocates the batch, which may fail.
    fn allocate(&self) -> Past {
        if sync::choose(2) == 0 {
            return Past::Never;
        }
        sync::note("no memory for a batch");
        self.policy.no_memory
    }

    fn ask(&self, what: u64) {
        self.calls.call(0, self.mm.members(), what);
    }
}

impl Program for TableBatch {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |what| {
            if what == FLUSH {
                hw::flush_tag(TAG);
            }
        });
    }
}
