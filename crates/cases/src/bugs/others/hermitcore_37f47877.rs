//! The flush comes first and the new page-table entry second.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "hermitcore-37f47877-flush-first",
    id: "G17",
    source: "579feaa64 in libhermit (once 37f47877)",
    year: 2015,
    title: "set new page table entry before we flush the TLB",
    kernel: "HermitCore",
    arch: "x86",
    rules: &[4, 8],
    about: "Remapping flushes the address and then writes the new entry; the CPU may cache the old one again in \
            between.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    ..Bug::race(Memory::Tso, Remap::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const NEW: u64 = 2;

/// One CPU maps another frame where one was mapped.
#[derive(Debug)]
pub(crate) struct Remap {
    variant: Variant,
    machine: Machine,
}

impl Remap {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .own_page(SPACE, 0, 1)
            .translation(2, Some(SPACE), true)
            .start(0, SPACE, TAG, false)
            .must_free_frame(1);
        machine.runs(|machine| Self { variant, machine })
    }

    fn remap(&self) {
        let entry = self.machine.tables.leaf(SPACE, 0);
        match self.variant {
            Variant::Broken => {
                hw::flush_page(TAG, 0, WalkCache::Drop);
                entry.store(NEW, Relaxed);
            }
            _ => {
                entry.store(NEW, Relaxed);
                sync::fence(SeqCst);
                hw::flush_page(TAG, 0, WalkCache::Drop);
            }
        }
        hw::free_frame(1);
    }
}

impl Program for Remap {
    fn main(&self, _: usize) {
        sync::note("map another frame at page 0");
        self.remap();
        sync::note("back to the application");
        hw::user(true);
        hw::touch(0);
    }
}
