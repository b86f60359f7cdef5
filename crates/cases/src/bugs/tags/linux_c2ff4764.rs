//! A shared page table is unshared with a flush that leaves cached upper levels.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-c2ff4764-unshare-walk-cache",
    id: "C15",
    source: "c2ff4764e03e (CVE-2026-63875)",
    year: 2026,
    title: "arm64: tlb: Flush walk cache when unsharing PMD tables",
    arch: "arm64",
    rules: &[7, 12],
    about: "A table that stays alive in another space is unlinked with a leaf-only flush; cached upper levels still \
            lead into it.",
    ends: "CPU 1, in space A, can use page 0 -> frame 2 of space B (SD-12)",
    engine: "lazy-vs-table-free",
    ..Bug::race(Memory::Pso, Unshare::model)
};

const A: usize = 0;
const B: usize = 1;
const TAG_A: u8 = 1;
/// The table that both spaces link; it is B's.
const SHARED: u64 = 2;
const PRIVATE_OF_B: u64 = 2;

/// What an unmap has done, for the flush to be chosen by.
#[derive(Clone, Copy)]
struct Gathered {
    freed_tables: bool,
    unshared_tables: bool,
}

/// Two processes map a huge file, and share the page table for it. CPU 0 unmaps it from A, then works for B; a thread
/// of A runs on CPU 1.
#[derive(Debug)]
pub(crate) struct Unshare {
    variant: Variant,
    machine: Machine,
}

impl Unshare {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .spaces(2, 1)
            .tags(3)
            .translation(1, None, true)
            .translation(2, Some(B), true)
            .map(B, 0, 1)
            .link_table(A, 0, SHARED)
            .start(1, A, TAG_A, true);
        machine.runs(|machine| Self { variant, machine })
    }

    fn unmap(&self) {
        sync::note("unmap the file from A");
        self.machine.tables.root(A, 0).store(0, Relaxed);
        self.flush(Gathered { freed_tables: false, unshared_tables: true });
        sync::note("B maps a page of its own there");
        self.machine.tables.slot(SHARED, 0).store(PRIVATE_OF_B, Relaxed);
    }

    fn flush(&self, gathered: Gathered) {
        let tables_went = match self.variant {
            Variant::Broken => gathered.freed_tables,
            _ => gathered.freed_tables || gathered.unshared_tables,
        };
        let walk = if tables_went { WalkCache::Drop } else { WalkCache::Keep };
        hw::broadcast(Whose::Tag(TAG_A), Which::Page(0, walk));
    }
}

impl Program for Unshare {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        } else {
            hw::touch(0);
        }
    }
}
