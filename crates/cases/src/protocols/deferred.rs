//! The deferred flush: CPU 0 changes a page-table entry under its lock, drops the lock, and flushes later. CPU 1 takes
//! the lock, finds that the entry is already as it wants it, and concludes that there is nothing to flush. The cases
//! share this code; bugs differ in what the two CPUs do, and fixes in which CPU does the flush, and when.
//!
//! Both CPUs run threads of one process, in the kernel, unless CPU 0 is an outsider that runs no process; CPU 1 goes
//! back to user mode in the end. A third CPU, where there is one, stays in user mode all the time.

use super::{CROSS_CALL, CrossCall, Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use shootdown_explore::Registry;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, hw};

/// What CPU 0 does to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Clears it; the frame is freed after the flush.
    Clear,
    /// Takes the right to write away.
    Protect,
}

/// When CPU 0 flushes what it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Under the lock, before the page counts as unmapped.
    BeforeUnmapped,
    /// Under the lock, when the page counts as unmapped.
    BeforeUnlock,
    AfterUnlock,
}

/// How CPU 0 lets others know that a flush is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Not at all.
    Untold,
    /// By a count, raised before the entry changes and lowered after the flush.
    Count,
    /// By a flag: set when the entry changes, cleared by the CPU that flushes because of it.
    Flag,
    /// By a number of the latest change. A CPU that flushes because of it records the number that it saw before the
    /// flush.
    Generation,
}

/// When CPU 1 checks whether a flush is still to come, so that it can do it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Never,
    /// When it first has the lock.
    AtFirstLock,
    /// Whenever it has taken the lock.
    AtEveryLock,
    /// When it is done with the entries.
    AtTheEnd,
}

/// What CPU 1 wants, and what it relies on when it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The page unmapped: nobody uses the address from then on.
    Discard,
    /// The page read-only: nobody writes to the frame from then on.
    Protect,
    /// The page read-only wherever it is mapped, and so clean: nobody writes to the frame from then on. A page that
    /// nobody maps is clean without a look at its entry.
    Clean,
    /// A copy of the page, which is read-only already: nobody writes to the original from then on.
    Copy,
    /// The contents given up, unless they are written to again: a page that is gone already is not written to from then
    /// on.
    GiveUp,
}

/// The parts that CPUs play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// What CPU 0 and CPU 1 do, in words.
    pub(crate) words: [&'static str; 2],
    pub(crate) cpus: usize,
    /// Whether CPU 0 does not run the process.
    pub(crate) outsider: bool,
    /// Number of pages, each under a lock of its own.
    pub(crate) pages: usize,
    pub(crate) change: Change,
    pub(crate) flush: Flush,
    pub(crate) pending: Pending,
    pub(crate) goal: Goal,
    pub(crate) ask: Ask,
    /// Whether CPU 1 has to drop the lock and take it again before it looks at the entry.
    pub(crate) relocks: bool,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const SECOND: usize = 1;
const FLUSH: u64 = 1;
/// Translation of page 0 that allows no writes, and that of its copy; those that do are the page's number plus one.
const READ_ONLY: u64 = 3;
const COPIED: u64 = 4;

/// What tells of flushes to come.
#[derive(Debug)]
struct Batch {
    pending: Word,
    flushed: Word,
}

#[derive(Debug)]
pub(crate) struct Deferred {
    policy: Policy,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    batch: Batch,
    /// How often page 0 is mapped, which is asked without a lock.
    mapped: Word,
    ptl: Vec<Lock>,
}

impl Deferred {
    pub(crate) fn model(policy: Policy) -> Model {
        let mut machine = Machine::builder(policy.cpus)
            .translation(1, Some(SPACE), true)
            .translation(2, Some(SPACE), true)
            .translation(1, Some(SPACE), false)
            .translation(3, Some(SPACE), true);
        for page in 0..policy.pages {
            machine = machine.map(SPACE, page, page as u64 + 1);
            if policy.change == Change::Clear {
                machine = machine.must_free_frame(page + 1);
            }
        }
        let members = usize::from(policy.outsider)..policy.cpus;
        for cpu in members.clone() {
            machine = machine.start(cpu, SPACE, TAG, cpu > SECOND);
        }
        machine.runs(|machine| Self {
            policy,
            machine,
            mm: Mm::new(members.len() as u64, 1, members.map(|cpu| 1 << cpu).sum()),
            calls: CrossCall::new(policy.cpus),
            batch: Batch { pending: Word::new("pending", 0), flushed: Word::new("flushed", 0) },
            mapped: Word::new("mapped", 1),
            ptl: (0..policy.pages).map(|_| Lock::new("lock.held")).collect(),
        })
    }

    fn flush(&self, cpu: usize) {
        sync::fence(SeqCst);
        self.calls.call(cpu, self.mm.members(), FLUSH);
        hw::flush_tag(TAG);
    }

    fn first(&self) {
        sync::note(self.policy.words[0]);
        if self.policy.pending == Pending::Count {
            self.batch.pending.fetch_add(1, AcqRel);
        }
        let mine: Vec<bool> = (0..self.policy.pages).map(|page| self.change(page)).collect();
        if self.policy.flush == Flush::AfterUnlock {
            sync::note("flush at last");
            self.flush(0);
        }
        if self.policy.pending == Pending::Count {
            self.batch.pending.fetch_sub(1, AcqRel);
        }
        for page in (0..self.policy.pages).filter(|&page| mine[page]) {
            hw::free_frame(page + 1);
        }
    }

    /// Changes the entry of `page`; returns whether the frame is for the caller to free.
    fn change(&self, page: usize) -> bool {
        let entry = self.machine.tables.leaf(SPACE, page);
        self.ptl[page].lock();
        let taken = match self.policy.change {
            Change::Clear => entry.swap(0, AcqRel) != 0,
            Change::Protect => {
                entry.swap(READ_ONLY, AcqRel);
                false
            }
        };
        match self.policy.pending {
            Pending::Flag => self.batch.pending.store(1, Relaxed),
            Pending::Generation => drop(self.batch.pending.fetch_add(1, AcqRel)),
            Pending::Untold | Pending::Count => {}
        }
        if self.policy.flush == Flush::BeforeUnmapped {
            self.flush(0);
        }
        if self.policy.goal == Goal::Clean {
            self.mapped.fetch_sub(1, AcqRel);
        }
        if self.policy.flush == Flush::BeforeUnlock {
            self.flush(0);
        }
        self.ptl[page].unlock();
        taken
    }

    fn second(&self) {
        sync::note(self.policy.words[1]);
        if self.policy.goal == Goal::Clean && self.mapped.load(Relaxed) == 0 {
            return self.rely(0);
        }
        let mut gone = Vec::new();
        for page in 0..self.policy.pages {
            self.ptl[page].lock();
            self.ask(&[Ask::AtFirstLock, Ask::AtEveryLock]);
            if self.policy.relocks {
                self.ptl[page].unlock();
                sync::note("lock again");
                self.ptl[page].lock();
                self.ask(&[Ask::AtEveryLock]);
            }
            gone.push(self.reach_goal(page));
            self.ptl[page].unlock();
        }
        self.ask(&[Ask::AtTheEnd]);
        for page in (0..self.policy.pages).filter(|&page| gone[page]) {
            self.rely(page);
        }
    }

    /// Makes up for a flush that is still to come, if this is one of the points at which CPU 1 asks.
    fn ask(&self, points: &[Ask]) {
        if !points.contains(&self.policy.ask) {
            return;
        }
        let flushed = self.batch.flushed.load(Relaxed);
        let pending = self.batch.pending.load(Relaxed);
        if pending == flushed {
            return;
        }
        self.flush(SECOND);
        match self.policy.pending {
            Pending::Flag => self.batch.pending.store(0, Relaxed),
            Pending::Generation => {
                // If another has flushed meanwhile, its number stands.
                let _ = self.batch.flushed.compare_exchange(flushed, pending, Relaxed, Relaxed);
            }
            Pending::Untold | Pending::Count => {}
        }
    }

    /// Has the entry as CPU 1 wants it, and flushes if it had to change it; returns whether CPU 1 relies on it from
    /// then on.
    fn reach_goal(&self, page: usize) -> bool {
        let entry = self.machine.tables.leaf(SPACE, page);
        let writable = page as u64 + 1;
        match self.policy.goal {
            Goal::Discard => {
                if entry.swap(0, AcqRel) != 0 {
                    self.flush(SECOND);
                    hw::free_frame(page + 1);
                }
            }
            Goal::Protect | Goal::Clean => {
                if entry.compare_exchange(writable, READ_ONLY, AcqRel, Relaxed).is_ok() {
                    self.flush(SECOND);
                }
            }
            Goal::Copy => {
                if entry.load(Relaxed) == READ_ONLY {
                    // Before the copy a lock is given back and another one taken: it comes after the look at what is to come.
                    sync::fence(Acquire);
                    hw::revoke(writable);
                    sync::note("page is copied");
                    entry.swap(COPIED, AcqRel);
                    self.flush(SECOND);
                }
            }
            Goal::GiveUp => return entry.load(Relaxed) == 0,
        }
        true
    }

    fn rely(&self, page: usize) {
        match self.policy.goal {
            Goal::Discard | Goal::GiveUp => hw::unreachable(SPACE, page),
            Goal::Protect | Goal::Clean => hw::revoke(page as u64 + 1),
            Goal::Copy => {}
        }
    }
}

impl Program for Deferred {
    fn main(&self, cpu: usize) {
        match cpu {
            0 => self.first(),
            SECOND => {
                self.second();
                sync::note("back to user mode");
                hw::user(true);
            }
            _ => {}
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
        self.calls.serve(cpu, |_| hw::flush_tag(TAG));
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("mm", &self.mm);
        registry.object("batch", &self.batch);
        if self.policy.goal == Goal::Clean {
            registry.object("page", &self.mapped);
        }
        for (page, lock) in self.ptl.iter().enumerate() {
            registry.object(format!("ptl{page}"), lock);
        }
    }
}
