//! The lockless walker: CPU 1 looks a user page up with interrupts off and no lock, takes a reference to what it finds,
//! and looks again whether all is as it was. CPU 0 unmaps the page, or unlinks the table that leads to it. The cases
//! share this code; bugs differ in what CPU 0 does with the table, and fixes in what one of them waits for or looks at.

use super::{CROSS_CALL, CrossCall};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// What CPU 0 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Copies the page elsewhere; the table is kept for later.
    Collapse,
    /// Copies the page elsewhere, and puts the table to another use.
    CollapseAndReuse,
    /// Takes a table that two spaces share out of the first, and maps something else through it in the second.
    Unshare,
}

/// What CPU 0 waits for when it has unlinked the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The broadcast flush, which does not wait for software.
    Flush,
    /// The flush, and an interrupt that every CPU has answered: a walker's interrupts are off.
    FlushAndWalkers,
}

/// What the walker looks at again when it has its reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recheck {
    Leaf,
    LeafAndRoot,
}

/// The parts that CPUs play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) task: Task,
    pub(crate) wait: Wait,
    pub(crate) recheck: Recheck,
}

const FIRST: usize = 0;
const SECOND: usize = 1;
const TAG: u8 = 0;
const TABLE: u64 = 1;
const SYNC: u64 = 1;
/// Translations: of the page that is looked up, and of one of the second space.
const PAGE: u64 = 1;
const OTHER: u64 = 2;

/// References to the frames, by which their users keep them.
#[derive(Debug)]
struct Frames {
    refs: [Word; 2],
}

#[derive(Debug)]
pub(crate) struct Lockless {
    policy: Policy,
    machine: Machine,
    calls: CrossCall,
    frames: Frames,
}

impl Lockless {
    pub(crate) fn model(policy: Policy) -> Model {
        let shared = policy.task == Task::Unshare;
        let owner = if shared { None } else { Some(FIRST) };
        let mut machine = Machine::builder(2)
            .spaces(2, 1)
            .translation(1, owner, true)
            .translation(2, Some(SECOND), true)
            .map(FIRST, 0, PAGE)
            .start(1, FIRST, TAG, false);
        if shared {
            machine = machine.link_table(SECOND, 0, TABLE);
        }
        let frames = Frames { refs: [Word::new("frames.refs1", 1), Word::new("frames.refs2", 1)] };
        machine.runs(|machine| Self { policy, machine, calls: CrossCall::new(2), frames })
    }

    fn take_away(&self) {
        sync::note(if self.policy.task == Task::Unshare { "unshare the table" } else { "collapse page 0" });
        let root = self.machine.tables.root(FIRST, 0);
        root.swap(0, AcqRel);
        hw::broadcast(Whose::Tag(TAG), Which::All);
        // A flush is a full barrier.
        sync::fence(SeqCst);
        if self.policy.wait == Wait::FlushAndWalkers {
            self.calls.call(0, 0b10, SYNC);
        }
        if self.policy.task == Task::Unshare {
            sync::note("the other space maps something else");
            self.machine.tables.slot(TABLE, 0).store(OTHER, Relaxed);
            return;
        }
        if self.refs(PAGE).load(Acquire) != 1 {
            sync::note("somebody uses the page: leave it");
            root.store(TABLE, Relaxed);
            return;
        }
        sync::note("copy, let the old page go");
        hw::revoke(PAGE);
        self.machine.tables.slot(TABLE, 0).swap(0, AcqRel);
        if self.policy.task == Task::CollapseAndReuse {
            sync::note("use the table for something else");
            sync::retire(self.machine.tables.page(TABLE));
        }
    }

    fn refs(&self, value: u64) -> &Word {
        &self.frames.refs[value as usize - 1]
    }

    /// Looks page 0 up and uses it.
    fn use_page(&self) {
        sync::note("look page 0 up without a lock");
        let on = sync::irq_save();
        let found = self.walk();
        sync::irq_restore(on);
        if let Some(value) = found {
            sync::note("use what was found");
            hw::access(FIRST, value);
            self.refs(value).fetch_sub(1, AcqRel);
        }
    }

    /// Finds the page and takes a reference, or gives up.
    fn walk(&self) -> Option<u64> {
        let root = self.machine.tables.root(FIRST, 0);
        let table = root.load(Acquire);
        if table == 0 {
            return None;
        }
        let leaf = self.machine.tables.slot(table, 0);
        let value = leaf.load(Acquire);
        if value == 0 {
            return None;
        }
        self.refs(value).fetch_add(1, AcqRel);
        // An atomic operation that returns a value is a full barrier in Linux.
        sync::fence(SeqCst);
        let same = leaf.load(Acquire) == value
            && (self.policy.recheck == Recheck::Leaf || root.load(Relaxed) == table);
        if !same {
            self.refs(value).fetch_sub(1, AcqRel);
        }
        same.then_some(value)
    }
}

impl Program for Lockless {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.take_away() } else { self.use_page() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| {});
    }
}
