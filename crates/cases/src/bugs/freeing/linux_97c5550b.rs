//! A fault handler looks at a whole group of entries, finds the mark on one, and leaves that which faulted as it is.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::{Memory, sync};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-97c5550b-contpte-loop",
    id: "D40",
    source: "97c5550b7631 (CVE-2026-43486)",
    year: 2026,
    title: "arm64: contpte: fix set_access_flags() no-op check for SMMU/ATS faults",
    arch: "arm64",
    rules: &[4],
    about: "A CPU marks one entry of a group dirty; a device that writes through another faults, and the handler \
            takes the group for dirty and changes nothing: it faults for ever.",
    ends: "no CPU can go on: CPU 1 waits for table1.slot1 to change from 0x3",
    engine: "seed",
    ..Bug::race(Memory::Pso, Group::model)
};

const SPACE: usize = 0;
/// Values of the two entries of the group.
const CLEAN: [u64; 2] = [1, 3];
const DIRTY: [u64; 2] = [2, 4];
/// Its walker sets no marks.
const SMMU: usize = 1;

/// CPU 0 writes to page 0, whose entry its walker marks. The SMMU on CPU 1 writes to page 1 for a device.
#[derive(Debug)]
pub(crate) struct Group {
    variant: Variant,
    machine: Machine,
}

impl Group {
    fn model(variant: Variant) -> Model {
        let page = |machine: shootdown_machine::Builder, frame| {
            machine.translation(frame, Some(SPACE), false).translation(frame, Some(SPACE), true)
        };
        let machine = page(page(Machine::builder(2), 1), 2)
            .marks_dirty(CLEAN[0], DIRTY[0])
            .marks_dirty(CLEAN[1], DIRTY[1])
            .sets_no_marks(SMMU)
            .map(SPACE, 0, CLEAN[0])
            .map(SPACE, 1, CLEAN[1]);
        machine.runs(|machine| Self { variant, machine })
    }

    /// Handles a fault of the SMMU: makes the entries of the group dirty. Answers whether there was anything to do.
    fn set_access_flags(&self) -> bool {
        sync::note("the SMMU faults");
        let is_dirty = [0, 1].map(|page| self.machine.tables.leaf(SPACE, page).load(Relaxed) == DIRTY[page]);
        let nothing_to_do = match self.variant {
            Variant::Broken => is_dirty.contains(&true),
            _ => is_dirty == [true; 2],
        };
        if nothing_to_do {
            return false;
        }
        (0..2).for_each(|page| _ = self.machine.tables.leaf(SPACE, page).swap(DIRTY[page], AcqRel));
        true
    }
}

impl Program for Group {
    fn main(&self, cpu: usize) {
        if cpu == SMMU {
            sync::note("write to page 1");
            self.machine.write_with_faults(SPACE, 1, || self.set_access_flags());
        } else {
            sync::note("write to page 0");
            self.machine.write(SPACE, 0);
        }
    }
}
