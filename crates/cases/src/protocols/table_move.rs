//! The moved table: mremap moves a whole region at once by taking its table out of one root entry and putting it into
//! another. CPU 1 finds its way to the same table by the file behind the region, under the file's lock. The cases share
//! this code; bugs differ in what CPU 1 does there, and fixes in what mremap holds, and looks at, while it moves.

use super::{CROSS_CALL, CrossCall, Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program};

/// What CPU 1 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    /// Takes the page away.
    Reclaim,
    /// Takes the table away: its pages are to be mapped by one large entry when they are used next.
    Retract,
}

/// The file's lock, while mremap moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileLock {
    NotTaken,
    Held,
}

/// How often mremap looks at the old entry before it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Before it has its locks.
    Once,
    /// Before, and again when it has them.
    Again,
}

/// What mremap does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) other: Other,
    pub(crate) lock: FileLock,
    pub(crate) look: Look,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const TABLE: u64 = 1;
const FROM: usize = 0;
const TO: usize = 1;
const OTHER: usize = 1;
const FLUSH_PAGE: u64 = 1;

#[derive(Debug)]
pub(crate) struct TableMove {
    policy: Policy,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// Lock of the file's tree of areas, of the upper level of page tables, and of the table.
    i_mmap: Lock,
    pmd: Lock,
    pte: Lock,
}

impl TableMove {
    pub(crate) fn model(policy: Policy) -> Model {
        let mut machine = Machine::builder(2).spaces(1, 2).own_page(SPACE, 0, 1).start(0, SPACE, TAG, false);
        if policy.other == Other::Retract {
            machine = machine.must_free_table(TABLE);
        }
        machine.runs(|machine| Self {
            policy,
            machine,
            mm: Mm::new(1, 1, 0b01),
            calls: CrossCall::new(2),
            i_mmap: Lock::new("i_mmap.held"),
            pmd: Lock::new("pmd.ptl.held"),
            pte: Lock::new("pte.ptl.held"),
        })
    }

    fn remap(&self) {
        sync::note("mremap pages 0 and 1 to 2 and 3");
        if self.machine.tables.root(SPACE, FROM).load(Acquire) == 0 {
            return;
        }
        if self.policy.lock == FileLock::Held {
            self.i_mmap.lock();
        }
        self.pmd.lock();
        self.relink();
        self.pmd.unlock();
        if self.policy.lock == FileLock::Held {
            self.i_mmap.unlock();
        }
        sync::note("back to user mode");
        hw::user(true);
    }

    fn relink(&self) {
        let [from, to] = [FROM, TO].map(|entry| self.machine.tables.root(SPACE, entry));
        if self.policy.look == Look::Again && from.load(Relaxed) == 0 {
            return;
        }
        let old = from.swap(0, AcqRel);
        sync::demand(old != 0, "CPU 0 links physical page 0 as a table");
        to.store(old, Relaxed);
        sync::fence(SeqCst);
        hw::flush_tag(TAG);
    }

    fn reclaim(&self) {
        sync::note("reclaim the page");
        self.i_mmap.lock();
        for entry in [FROM, TO] {
            if self.machine.tables.root(SPACE, entry).load(Acquire) == 0 {
                continue;
            }
            let page = 2 * entry;
            self.pte.lock();
            let found = self.machine.tables.slot(TABLE, 0).swap(0, AcqRel) != 0;
            if found {
                sync::fence(SeqCst);
                self.calls.call(OTHER, self.mm.members(), FLUSH_PAGE + page as u64);
            }
            self.pte.unlock();
            if found {
                hw::free_frame(1);
                break;
            }
        }
        self.i_mmap.unlock();
    }

    fn retract(&self) {
        sync::note("retract the table");
        self.i_mmap.lock();
        for entry in [FROM, TO] {
            self.pmd.lock();
            let found = self.machine.tables.root(SPACE, entry).swap(0, AcqRel) != 0;
            if found {
                self.calls.call(OTHER, self.mm.members(), FLUSH_PAGE);
            }
            self.pmd.unlock();
            if found {
                hw::free_table(TABLE);
                break;
            }
        }
        self.i_mmap.unlock();
    }
}

impl Program for TableMove {
    fn main(&self, cpu: usize) {
        match self.policy.other {
            _ if cpu == 0 => self.remap(),
            Other::Reclaim => self.reclaim(),
            Other::Retract => self.retract(),
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (0, CROSS_CALL), "only CPU 1 calls");
        self.calls.serve(cpu, |what| hw::flush_page(TAG, (what - FLUSH_PAGE) as usize, WalkCache::Drop));
    }
}
