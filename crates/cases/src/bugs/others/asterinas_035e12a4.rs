//! A page-table node is recycled while somebody walks it without a lock.

use crate::bugs::boxed;
use crate::bugs::{Bug, code};
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use shootdown_explore::{Registry, sync};
use shootdown_machine::{Machine, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "asterinas-035e12a4-table-recycle",
    id: "G7",
    source: "035e12a4b",
    title: "Identify the page table free-reuse-then-read problem and feature gate it",
    kernel: "Asterinas",
    arch: "x86",
    rules: &[7],
    about: "A page-table node that has become empty is recycled at once, while a walker that takes no locks is on \
            its way into it.",
    story: include_str!("asterinas_035e12a4.md"),
    ends: "use of table1.slot0 after its memory was given back",
    engine: "lazy-vs-table-free",
    code: code!["asterinas_035e12a4.rs"],
    build: |variant| boxed(Recycle::new(variant)),
    ..super::CLASS
};

const SPACE: usize = 0;
const TABLE: u64 = 1;

/// CPU 0 unmaps the last page of a table. CPU 1 looks an address up in the page table by software, as the MMU would.
#[derive(Debug)]
pub(crate) struct Recycle {
    variant: Variant,
    machine: Machine,
    /// Locks of the root node and of the leaf node.
    root: Lock,
    leaf: Lock,
}

impl Recycle {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine =
            Machine::builder(2).translation(1, Some(SPACE), true).map(SPACE, 0, 1).must_free_frame(1).build();
        Self { variant, machine, root: Lock::new(), leaf: Lock::new() }
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.root.lock();
        self.leaf.lock();
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        self.leaf.unlock();
        if self.variant == Variant::Broken {
            // The node is empty now. Nobody runs the space, so there is nothing to flush.
            self.machine.tables.root(SPACE, 0).store(0, Relaxed);
            sync::fence(SeqCst);
            sync::retire(self.machine.tables.page(TABLE));
        }
        self.root.unlock();
        shootdown_machine::hw::free_frame(1);
    }

    fn page_walk(&self) -> u64 {
        sync::note("look page 0 up");
        match self.machine.tables.root(SPACE, 0).load(Acquire) {
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

    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("root.lock", &self.root);
        registry.object("leaf.lock", &self.leaf);
    }
}
