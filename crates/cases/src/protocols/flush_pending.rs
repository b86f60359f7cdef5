//! A page-table entry that denies access says nothing about TLBs while the flush that goes with it is still to come.
//! One CPU changes protection now and flushes later, and page migration asks whether such a flush is still to come.
//!
//! CPU 0 makes page 0 inaccessible. CPU 1 migrates page 0 to another frame, perhaps after making page 1 inaccessible.
//! CPU 2 runs user code of the space.

use super::{CROSS_CALL, CrossCall, Lock};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program};

/// How a change of protection says that its flush is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Not at all.
    Unsaid,
    /// By a flag of the space.
    Flag,
    /// By a count of the space.
    Count,
}

/// What a kernel does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) pending: Pending,
    /// Whether CPU 1 changes the protection of page 1 before it migrates page 0.
    pub(crate) two_changes: bool,
}

const CPUS: usize = 3;
const SPACE: usize = 0;
const TAG: u8 = 0;
const NO_ACCESS: u64 = 0;

#[derive(Debug)]
pub(crate) struct FlushPending {
    policy: Policy,
    machine: Machine,
    /// Changes of protection whose flush is still to come.
    pending: Word,
    page_table: Lock,
    calls: CrossCall,
}

impl FlushPending {
    pub(crate) fn model(policy: Policy) -> Model {
        let machine = Machine::builder(CPUS)
            .own_page(SPACE, 0, 1)
            .own_page(SPACE, 1, 2)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, false)
            .start(2, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            policy,
            machine,
            pending: Word::new("mm.flush_pending", 0),
            page_table: Lock::new("mm.ptl.held"),
            calls: CrossCall::new(CPUS),
        })
    }

    fn change_protection(&self, cpu: usize, page: usize) {
        match self.policy.pending {
            Pending::Unsaid => {}
            Pending::Flag => self.pending.store(1, Relaxed),
            Pending::Count => drop(self.pending.fetch_add(1, Relaxed)),
        }
        self.page_table.lock();
        self.machine.tables.leaf(SPACE, page).store(NO_ACCESS, Relaxed);
        self.page_table.unlock();
        sync::note("flush at last");
        self.flush(cpu, page);
        match self.policy.pending {
            Pending::Unsaid => {}
            // What completes a flush is a barrier, too, so that the flag or count falls behind it.
            Pending::Flag => self.pending.store(0, Release),
            Pending::Count => drop(self.pending.fetch_sub(1, Release)),
        }
    }

    fn migrate(&self, cpu: usize, page: usize) {
        sync::note("migrate page 0");
        self.page_table.lock();
        let old = self.machine.tables.leaf(SPACE, page).swap(NO_ACCESS, AcqRel);
        // Nothing to flush if the entry denies access, unless a TLB still permits it.
        if old != NO_ACCESS || self.flush_is_pending() {
            self.flush(cpu, page);
        }
        self.page_table.unlock();
        sync::note("copy to a new frame");
        hw::free_frame(page + 1);
    }

    /// The copy comes after this look: the page's count of mappings falls in between, by an atomic operation that
    /// returns a value and so is a full barrier.
    fn flush_is_pending(&self) -> bool {
        self.policy.pending != Pending::Unsaid && self.pending.load(Acquire) != 0
    }

    /// Flushes on all CPUs, each of which runs on the space.
    fn flush(&self, cpu: usize, page: usize) {
        self.calls.call(cpu, (1 << CPUS) - 1, page as u64 + 1);
        hw::flush_page(TAG, page, WalkCache::Drop);
    }
}

impl Program for FlushPending {
    fn main(&self, cpu: usize) {
        match cpu {
            0 => {
                sync::note("make page 0 inaccessible");
                self.change_protection(cpu, 0);
            }
            1 => {
                if self.policy.two_changes {
                    sync::note("make page 1 inaccessible");
                    self.change_protection(cpu, 1);
                }
                self.migrate(cpu, 0);
            }
            _ => hw::touch(0),
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
        self.calls.serve(cpu, |page| hw::flush_page(TAG, page as usize - 1, WalkCache::Drop));
    }
}
