//! An ASID is given out again with the translations of its last owner still in the TLB.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, Install, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "zephyr-113559-asid-reuse",
    id: "G20",
    source: "PR 113562 (issue 113559)",
    year: 2026,
    title: "arch: arm64: mmu: invalidate TLB on memory domain deinit",
    kernel: "Zephyr",
    arch: "arm64",
    rules: &[7, 12],
    about: "A removed memory domain leaves its translations under its ASID, which a later domain gets again.",
    ends: "CPU 0 is lazy but can still walk table 1 in space B, which was freed (SD-7)",
    engine: "asid-rollover",
    ..Bug::race(Memory::Pso, Domains::model)
};

const OLD: usize = 0;
const NEW: usize = 1;
const KERNEL: u8 = 0;
/// The one ASID there is; the next domain gets it again.
const ASID: u8 = 1;

/// One CPU runs a thread of a memory domain, removes the domain, makes another, and runs a thread of that.
#[derive(Debug)]
pub(crate) struct Domains {
    variant: Variant,
    machine: Machine,
}

impl Domains {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .spaces(2, 1)
            .tags(2)
            .own_page(OLD, 0, 1)
            .own_page(NEW, 0, 2)
            .start(0, OLD, ASID, true)
            .must_free_table(1)
            .must_free_root(OLD);
        machine.runs(|machine| Self { variant, machine })
    }

    fn remove_domain(&self) {
        hw::user(false);
        hw::install(None, KERNEL, Install::Keep);
        self.machine.tables.root(OLD, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        if self.variant == Variant::Fixed {
            hw::broadcast(Whose::Tag(ASID), Which::All);
        }
        hw::free_table(1);
        hw::free_root(OLD);
    }

    fn run_new_domain(&self) {
        hw::install(Some(NEW), ASID, Install::Keep);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Domains {
    fn main(&self, _: usize) {
        sync::note("remove the domain");
        self.remove_domain();
        sync::note("run a new one");
        self.run_new_domain();
    }
}
