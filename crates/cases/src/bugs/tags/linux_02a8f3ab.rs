//! Exit flushes the whole space first and frees its tables after, with the root still loaded.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, Install, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-02a8f3ab-s390-exit",
    id: "C18",
    source: "02a8f3abb708",
    year: 2014,
    title: "s390/mm,tlb: safeguard against speculative TLB creation",
    arch: "s390",
    rules: &[7, 8],
    about: "Exit flushes the dying space first and frees its tables after, while its root is loaded: hardware may \
            read it again in between.",
    ends: "CPU 0 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-final-drop",
    ..Bug::race(Memory::Tso, Exit::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;

/// The last thread of a process exits: the CPU tears the space down with its root still loaded.
#[derive(Debug)]
pub(crate) struct Exit {
    variant: Variant,
    machine: Machine,
}

impl Exit {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, false)
            .must_free_frame(1)
            .must_free_table(1)
            .must_free_root(SPACE);
        machine.runs(|machine| Self { variant, machine })
    }

    fn exit(&self) {
        sync::note("tear the space down");
        hw::teardown(SPACE);
        if self.variant == Variant::Broken {
            self.flush();
        }
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        self.machine.tables.root(SPACE, 0).store(0, Relaxed);
        if self.variant == Variant::Fixed {
            self.flush();
        }
        hw::free_frame(1);
        hw::free_table(1);
        sync::note("switch away");
        hw::install(None, TAG, Install::FlushAll);
        hw::free_root(SPACE);
    }

    fn flush(&self) {
        sync::fence(SeqCst);
        hw::broadcast(Whose::Space(SPACE), Which::All);
    }
}

impl Program for Exit {
    fn main(&self, _: usize) {
        self.exit();
    }
}
