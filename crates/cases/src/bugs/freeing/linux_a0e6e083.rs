//! The pages of a replaced descriptor table are freed while user page tables still map them.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-a0e6e083-ldt-unmap",
    id: "D28",
    source: "a0e6e0831c51",
    year: 2018,
    title: "x86/ldt: Unmap PTEs for the slot before freeing LDT pages",
    arch: "x86",
    rules: &[8],
    about: "modify_ldt maps a new descriptor table in another slot and frees the pages of the old one, whose \
            slot stays mapped in the tables that user mode runs on.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    ..Bug::race(Memory::Tso, Ldt::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const FLUSH: u64 = 1;
const OLD_SLOT: usize = 0;
const NEW_SLOT: usize = 1;

/// CPU 0 replaces the process's descriptor table. CPU 1 runs another thread of it.
#[derive(Debug)]
pub(crate) struct Ldt {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl Ldt {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), false)
            .translation(2, Some(SPACE), false)
            .map(SPACE, OLD_SLOT, 1)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self { variant, machine, mm: Mm::new(2, 1, 0b11), calls: CrossCall::new(2) })
    }

    fn modify(&self) {
        sync::note("map the new table in the other slot");
        self.machine.tables.leaf(SPACE, NEW_SLOT).store(2, Relaxed);
        sync::note("have all threads load it");
        self.flush(NEW_SLOT);
        if self.variant == Variant::Fixed {
            sync::note("unmap the old slot");
            self.machine.tables.leaf(SPACE, OLD_SLOT).swap(0, Relaxed);
            self.flush(OLD_SLOT);
        }
        hw::free_frame(1);
        sync::note("back to user mode");
        hw::user(true);
    }

    /// Calls the other threads, which load the new table and flush, and flushes here.
    fn flush(&self, slot: usize) {
        sync::fence(SeqCst);
        self.calls.call(0, self.mm.members(), FLUSH + slot as u64);
        hw::flush_page(TAG, slot, WalkCache::Drop);
    }
}

impl Program for Ldt {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.modify();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |what| hw::flush_page(TAG, (what - FLUSH) as usize, WalkCache::Drop));
    }
}
