//! A flush looks its tag up where it was just erased.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "sel4-6357957e-vmid-first",
    id: "G41",
    source: "6357957eece5",
    year: 2018,
    title: "AArch64,hyp: Fix tlb invalidation behavior",
    kernel: "seL4",
    arch: "arm64",
    rules: &[12],
    about: "Deleting a space first forgets which VMID it has and then flushes by looking the VMID up: \
            nothing is found, and nothing flushed.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "tag-reuse",
    ..Bug::race(Memory::Pso, Delete::model)
};

const A: usize = 0;
const B: usize = 1;
const NONE: u64 = 0;
const KERNEL: u8 = 0;
/// The one VMID there is.
const VMID: u8 = 1;

/// One core deletes space A and runs space B, which gets A's VMID.
#[derive(Debug)]
pub(crate) struct Delete {
    variant: Variant,
    /// The VMID of A, or none.
    stored: Word,
}

impl Delete {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .spaces(2, 1)
            .tags(2)
            .own_page(A, 0, 1)
            .own_page(B, 0, 2)
            .start(0, A, VMID, true);
        machine.runs(|_| Self { variant, stored: Word::new("space.stored", VMID.into()) })
    }

    fn flush(&self) {
        let vmid = self.stored.load(Relaxed);
        if vmid != NONE {
            hw::broadcast(Whose::Tag(vmid as u8), Which::All);
        }
    }

    fn delete(&self) {
        hw::user(false);
        hw::install(None, KERNEL, Install::Keep);
        if self.variant == Variant::Fixed {
            self.flush();
        }
        self.stored.store(NONE, Relaxed);
        if self.variant == Variant::Broken {
            self.flush();
        }
    }
}

impl Program for Delete {
    fn main(&self, _: usize) {
        sync::note("delete space A");
        self.delete();
        sync::note("run space B, with the VMID that is free");
        hw::install(Some(B), VMID, Install::Keep);
        hw::user(true);
        hw::touch(0);
    }
}
