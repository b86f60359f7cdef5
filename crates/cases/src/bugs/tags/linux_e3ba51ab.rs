//! The largest range that a range flush can take is encoded as nothing.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-e3ba51ab-tlbi-range",
    id: "C14",
    source: "e3ba51ab24fd (CVE-2024-35980)",
    year: 2024,
    title: "arm64: tlb: Fix TLBI RANGE operand",
    arch: "arm64",
    rules: &[8, 14],
    about: "A request for exactly the largest range is encoded as no range at all; writable translations survive a \
            write protection.",
    ends: "CPU 0 can still use page 3 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "asid-broadcast",
    ..Bug::race(Memory::Pso, Migration::model)
};

const GUEST: usize = 0;
const TAG: u8 = 1;
const PAGES: usize = 4;
const PROTECTED: u64 = 2;
/// NUM has five bits on real machines and one here, so a range has 1 or 2 units.
const NUM_MASK: usize = 1;
/// Units are 2 pages, 64, ... by SCALE on real machines; here there is one scale.
const UNIT: usize = 2;
/// The largest range that the operand can express; a caller with a larger one flushes everything.
const MOST_PAGES: usize = (NUM_MASK + 1) * UNIT;

/// Live migration of a guest: all its pages are write-protected, so that writes show from now on.
#[derive(Debug)]
pub(crate) struct Migration {
    variant: Variant,
    machine: Machine,
}

impl Migration {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .spaces(1, 2)
            .tags(2)
            .translation(1, Some(GUEST), true)
            .translation(1, Some(GUEST), false)
            .map(GUEST, PAGES - 1, 1)
            .start(0, GUEST, TAG, false);
        machine.runs(|machine| Self { variant, machine })
    }

    fn flush_range(&self, pages: usize) {
        if pages > MOST_PAGES {
            return hw::broadcast(Whose::Tag(TAG), Which::All);
        }
        let units = match self.variant {
            Variant::Broken => (pages / UNIT) & NUM_MASK,
            _ => pages.min(MOST_PAGES) / UNIT,
        };
        // The operand holds the number of units minus one; with none, no operand is made at this scale.
        let Some(num) = units.checked_sub(1) else { return };
        for page in 0..(num + 1) * UNIT {
            hw::broadcast(Whose::Tag(TAG), Which::Page(page, WalkCache::Keep));
        }
    }
}

impl Program for Migration {
    fn main(&self, _: usize) {
        sync::note("write-protect the guest");
        self.machine.tables.leaf(GUEST, PAGES - 1).store(PROTECTED, Relaxed);
        sync::note("flush all its pages");
        self.flush_range(PAGES);
        hw::revoke(1);
        sync::note("back to the guest");
        hw::user(true);
    }
}
