//! A page-table node is recycled while a CPU walks it without a lock.

use crate::bugs::Bug;
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "asterinas-035e12a4-table-recycle",
    id: "G7",
    source: "035e12a4b",
    year: 2024,
    title: "Identify the page table free-reuse-then-read problem and feature gate it",
    kernel: "Asterinas",
    arch: "x86",
    rules: &[7],
    about: "A node of the kernel's page table that has become empty is recycled at once, while walkers that take no locks, \
            the MMU's and one in software, are on their way into it.",
    ends: "CPU 0 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    argued: &[("free table 1", "the fix is to keep nodes as long as the space lives")],
    ..Bug::race(Memory::Tso, Recycle::model)
};

/// The kernel's own page table: every CPU has it loaded.
const KERNEL: usize = 0;
const TAG: u8 = 0;
const TABLE: u64 = 1;

/// CPU 0 unmaps the last kernel page of a table. CPU 1 looks an address up in the kernel's page table by software, as
/// the MMU would.
#[derive(Debug)]
pub(crate) struct Recycle {
    variant: Variant,
    machine: Machine,
    /// Locks of the root node and of the leaf node.
    root: Lock,
    leaf: Lock,
}

impl Recycle {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(KERNEL, 0, 1)
            .start(0, KERNEL, TAG, false)
            .start(1, KERNEL, TAG, false)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            root: Lock::new("root.lock.held"),
            leaf: Lock::new("leaf.lock.held"),
        })
    }

    fn unmap(&self) {
        sync::note("unmap kernel page 0");
        self.root.lock();
        self.leaf.lock();
        self.machine.tables.leaf(KERNEL, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        // How the flush reaches other CPUs does not matter here.
        hw::broadcast(Whose::Space(KERNEL), Which::Page(0, WalkCache::Keep));
        hw::free_frame(1);
        self.leaf.unlock();
        if self.variant == Variant::Broken {
            sync::note("its node is empty: recycle it");
            self.machine.tables.root(KERNEL, 0).store(0, Relaxed);
            // Even with the store complete: who read the entry before is still in the node.
            sync::fence(SeqCst);
            hw::free_table(TABLE);
            sync::retire(self.machine.tables.page(TABLE));
        }
        self.root.unlock();
    }

    fn page_walk(&self) -> u64 {
        sync::note("look page 0 up");
        match self.machine.tables.root(KERNEL, 0).load(Acquire) {
            0 => 0,
            table => self.machine.tables.slot(table, 0).load(Acquire),
        }
    }
}

impl Program for Recycle {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        } else {
            self.page_walk();
        }
    }
}
