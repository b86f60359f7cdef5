//! A page of a space is unmapped. The questions are which CPUs the flush reaches, and whether it comes before the frame
//! is freed. The cases share this code; kernels differ in the answers.
//!
//! CPU 0 changes the page, in a system call. Where there is a second CPU, a thread of the space runs there meanwhile.

use super::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::AcqRel;
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program};

/// The CPUs that the flush reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nobody: there is no flush.
    Nobody,
    /// This CPU alone.
    Here,
    /// All CPUs in the mask but this one.
    Others,
    /// This CPU, and all in the mask; the caller waits until they have taken the request.
    MembersWhoAnswerFirst,
    /// All CPUs in the mask, but only if the caller runs the space itself.
    MembersIfCurrent,
    /// This CPU and all in the mask.
    Members,
}

/// When the frame, or the table, goes back to the allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Free {
    /// Before the flush.
    BeforeFlush,
    /// After it.
    AfterFlush,
}

/// What happens to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is unmapped.
    Unmap,
    /// It is replaced by a copy.
    Copy,
    /// Its table is taken out, and given back instead of a frame.
    Table,
}

/// What a kernel does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) cpus: usize,
    /// Space that CPU 0 runs; the page is one of space 0.
    pub(crate) current: usize,
    pub(crate) change: Change,
    pub(crate) reach: Reach,
    pub(crate) free: Free,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const FLUSH: u64 = 1;
const NEW: u64 = 2;
const TABLE: u64 = 1;

#[derive(Debug)]
pub(crate) struct Unmap {
    machine: Machine,
    policy: Policy,
    mm: Mm,
    calls: CrossCall,
}

impl Unmap {
    pub(crate) fn model(policy: Policy) -> Model {
        let mut machine = Machine::builder(policy.cpus)
            .spaces(2, 1)
            .own_page(SPACE, 0, 1)
            .translation(2, Some(SPACE), true)
            .start(0, policy.current, TAG, false);
        machine = match policy.change {
            Change::Table => machine.must_free_table(TABLE),
            Change::Unmap | Change::Copy => machine.must_free_frame(1),
        };
        if policy.cpus > 1 {
            machine = machine.start(1, SPACE, TAG, true);
        }
        let runs_it = if policy.current == SPACE { 0b01 } else { 0b00 };
        machine.runs(|machine| Self {
            machine,
            policy,
            mm: Mm::new(1, 1, runs_it | if policy.cpus > 1 { 0b10 } else { 0 }),
            calls: CrossCall::new(policy.cpus),
        })
    }

    fn system_call(&self) {
        let tables = &self.machine.tables;
        let (entry, new) = match self.policy.change {
            Change::Unmap => (tables.leaf(SPACE, 0), 0),
            Change::Copy => (tables.leaf(SPACE, 0), NEW),
            Change::Table => (tables.root(SPACE, 0), 0),
        };
        entry.swap(new, AcqRel);
        if self.policy.free == Free::BeforeFlush {
            self.give_back();
        }
        self.flush();
        if self.policy.free == Free::AfterFlush {
            self.give_back();
        }
        sync::note("back to user mode");
        hw::user(true);
    }

    fn give_back(&self) {
        match self.policy.change {
            Change::Table => hw::free_table(TABLE),
            Change::Unmap | Change::Copy => hw::free_frame(1),
        }
    }

    fn flush(&self) {
        match self.policy.reach {
            Reach::Nobody => return,
            Reach::MembersIfCurrent if self.policy.current != SPACE => return,
            Reach::Here => {}
            _ => self.calls.call(0, self.mm.members(), FLUSH),
        }
        if self.policy.reach != Reach::Others {
            hw::flush_page(TAG, 0, WalkCache::Drop);
        }
    }
}

impl Program for Unmap {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.system_call();
        } else {
            hw::touch(0);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        let flush = |_| hw::flush_page(TAG, 0, WalkCache::Drop);
        match self.policy.reach {
            Reach::MembersWhoAnswerFirst => self.calls.take(cpu, flush),
            _ => self.calls.serve(cpu, flush),
        }
    }
}
