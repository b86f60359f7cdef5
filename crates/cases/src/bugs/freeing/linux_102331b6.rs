//! What the host maps is brought up to date from a page table that is not locked.

use crate::bugs::Bug;
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-102331b6-um-tlb-sync",
    id: "D30",
    source: "102331b66bca (CVE-2026-53020)",
    year: 2026,
    title: "um: Fix potential race condition in TLB sync",
    arch: "um",
    rules: &[8],
    about: "User-mode Linux copies changed entries of its page table to the host without the table's lock; an \
            entry that goes meanwhile is mapped again after its page was freed.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "pair-split-split",
    ..Bug::race(Memory::Tso, Sync::model)
};

const HOST: usize = 0;
const TAG: u8 = 0;
/// A bit of an entry of the process's table: the host has not been told.
const CHANGED: u64 = 0x10;
const PAGE: u64 = 1;

/// Two threads of a process, in a kernel that is itself a program: what the host maps for it stands in for the TLB.
/// CPU 0 brings the host up to date before it goes back to user mode; CPU 1 takes a page away.
#[derive(Debug)]
pub(crate) struct Sync {
    variant: Variant,
    machine: Machine,
    /// The entry of page 0 in the process's table, and the table's lock.
    entry: Word,
    table_lock: Lock,
}

impl Sync {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(HOST), true)
            .link(HOST, 0)
            .start(0, HOST, TAG, false)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            entry: Word::new("page0.entry", PAGE | CHANGED),
            table_lock: Lock::new("table.held"),
        })
    }

    fn sync(&self) {
        sync::note("bring the host up to date");
        if self.variant == Variant::Fixed {
            self.table_lock.lock();
        }
        self.tell_host();
        if self.variant == Variant::Fixed {
            self.table_lock.unlock();
        }
    }

    fn tell_host(&self) {
        let entry = self.entry.load(Acquire);
        if entry & CHANGED != 0 {
            self.machine.tables.leaf(HOST, 0).swap(entry & !CHANGED, AcqRel);
            hw::broadcast(Whose::Tag(TAG), Which::All);
            self.entry.store(entry & !CHANGED, Relaxed);
        }
    }

    fn take_page(&self) {
        sync::note("take page 0 away");
        self.table_lock.lock();
        self.entry.swap(CHANGED, AcqRel);
        self.tell_host();
        self.table_lock.unlock();
        hw::free_frame(1);
    }
}

impl Program for Sync {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.sync();
            sync::note("back to user mode");
            hw::user(true);
        } else {
            self.take_page();
        }
    }
}
