//! An entry that software takes for dirty, and hardware for clean.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::{Memory, sync};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-3c069607-soft-dirty-loop",
    id: "D41",
    source: "3c0696076aad",
    year: 2023,
    title: "arm64: mm: Always make sw-dirty PTEs hw-dirty in pte_modify",
    arch: "arm64 (without FEAT_HAFDBS)",
    rules: &[4],
    about: "mprotect makes an entry writable that is dirty by software's bit and read-only for hardware; a write \
            faults, and the handler finds it dirty already.",
    ends: "no CPU can go on: CPU 0 waits for table1.slot0 to change from 0x2",
    engine: "seed",
    ..Bug::race(Memory::Pso, Protect::model)
};

const SPACE: usize = 0;
/// Hardware may write through it.
const DIRTY: u64 = 1;
/// Software's bit says dirty; hardware may not write.
const SOFT_DIRTY: u64 = 2;
/// Nobody has written through it.
const CLEAN: u64 = 3;

/// A program writes to a page, takes it away from itself by mprotect, gives it back, and writes again. Its CPU's walker
/// sets no marks.
#[derive(Debug)]
pub(crate) struct Protect {
    variant: Variant,
    machine: Machine,
}

impl Protect {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .translation(1, Some(SPACE), true)
            .translation(1, Some(SPACE), false)
            .translation(1, Some(SPACE), false)
            .marks_dirty(SOFT_DIRTY, DIRTY)
            .marks_dirty(CLEAN, DIRTY)
            .sets_no_marks(0)
            .map(SPACE, 0, CLEAN);
        machine.runs(|machine| Self { variant, machine })
    }

    /// Changes the entry to what `wanted` says of rights; that it was dirty is kept.
    fn modify(&self, wanted: u64) {
        let entry = self.machine.tables.leaf(SPACE, 0);
        let keeps = self.variant == Variant::Fixed && wanted == DIRTY;
        entry.swap(if keeps { DIRTY } else { SOFT_DIRTY }, AcqRel);
    }

    fn write(&self) {
        self.machine.write_with_faults(SPACE, 0, || self.set_access_flags());
    }

    /// Handles a fault: makes the entry dirty. Answers whether there was anything to do.
    fn set_access_flags(&self) -> bool {
        sync::note("fault");
        let is_dirty = matches!(self.machine.tables.leaf(SPACE, 0).load(Relaxed), DIRTY | SOFT_DIRTY);
        if !is_dirty {
            self.machine.tables.leaf(SPACE, 0).swap(DIRTY, AcqRel);
        }
        !is_dirty
    }
}

impl Program for Protect {
    fn main(&self, _cpu: usize) {
        sync::note("write");
        self.write();
        sync::note("mprotect: no access");
        self.modify(SOFT_DIRTY);
        sync::note("mprotect: read and write");
        self.modify(DIRTY);
        sync::note("write");
        self.write();
    }
}
