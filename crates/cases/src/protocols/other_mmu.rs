//! The other MMU: a device, or a guest's second level of translation, walks tables and caches what it finds, and no
//! interrupt reaches it. A CPU that gives memory back has to tell it too. The cases share this code; bugs differ in
//! what the other MMU walks and how much it is told.
//!
//! CPU 0 gives memory of space A back. "CPU" 1 is the other MMU: it runs no code and uses all that it may hold, under a
//! tag of its own, so that flushing it is an operation of its own.

use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// What the other MMU walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walks {
    /// The CPUs' tables.
    TheSameTables,
    /// Tables of its own, of space B, that map the same page.
    ItsOwnTables,
}

/// What it is told when memory is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    /// Its own entry is cleared, if it has one.
    Cleared,
    /// Its own entry is cleared, if it has one, and its TLB flushed.
    ClearedAndFlushed,
}

/// The parts that CPUs play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) words: &'static str,
    pub(crate) walks: Walks,
    pub(crate) told: Told,
    /// Whether the table goes too, not only the page.
    pub(crate) frees_table: bool,
}

const SPACE: usize = 0;
const ITS_SPACE: usize = 1;
const TAG: u8 = 0;
const ITS_TAG: u8 = 1;
const TABLE: u64 = 1;

#[derive(Debug)]
pub(crate) struct OtherMmu {
    policy: Policy,
    machine: Machine,
}

impl OtherMmu {
    pub(crate) fn model(policy: Policy) -> Model {
        let its_space = if policy.walks == Walks::ItsOwnTables { ITS_SPACE } else { SPACE };
        let machine = Machine::builder(2)
            .spaces(2, 1)
            .tags(2)
            .translation(1, None, true)
            .map(SPACE, 0, 1)
            .map(ITS_SPACE, 0, 1)
            .start(0, SPACE, TAG, false)
            .start(1, its_space, ITS_TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self { policy, machine })
    }

    fn give_back(&self) {
        sync::note(self.policy.words);
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        if self.policy.frees_table {
            self.machine.tables.root(SPACE, 0).swap(0, AcqRel);
        }
        hw::flush_page(TAG, 0, WalkCache::Drop);
        self.tell();
        if self.policy.frees_table {
            hw::free_table(TABLE);
        }
        hw::free_frame(1);
    }

    fn tell(&self) {
        if self.policy.told != Told::Nothing && self.policy.walks == Walks::ItsOwnTables {
            sync::note("clear the other entry");
            self.machine.tables.leaf(ITS_SPACE, 0).swap(0, Relaxed);
        }
        if self.policy.told == Told::ClearedAndFlushed {
            sync::note("flush the other TLB");
            hw::broadcast(Whose::Tag(ITS_TAG), Which::All);
        }
    }
}

impl Program for OtherMmu {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.give_back();
        }
    }
}
