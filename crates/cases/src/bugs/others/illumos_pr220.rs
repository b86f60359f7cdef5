//! The tag changes before the root does, and the walker goes on in between.

use crate::bugs::Bug;
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "illumos-pr220-tag-then-root",
    id: "G75",
    source: "PR 220 of richlowe/illumos-gate, 2026",
    year: 2026,
    title: "Correct the ASID design and implementation",
    kernel: "illumos",
    arch: "aarch64",
    rules: &[12],
    about: "A switch writes the new tag while the old root is still walked, so that entries of the old process are \
            filed under the new one's tag.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "tag-reuse",
    ..Bug::race(Memory::Pso, Switch::model)
};

const OLD: usize = 0;
const OLD_TAG: u8 = 1;
const NEW: usize = 1;
const NEW_TAG: u8 = 2;

/// One CPU switches from one process to another.
#[derive(Debug)]
struct Switch {
    variant: Variant,
}

impl Switch {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .spaces(2, 1)
            .tags(3)
            .own_page(OLD, 0, 1)
            .own_page(NEW, 0, 2)
            .start(0, OLD, OLD_TAG, false);
        machine.runs(|_| Self { variant })
    }

    fn switch(&self) {
        sync::note("switch to the other process");
        if self.variant == Variant::Fixed {
            // Walks through the user's root are forbidden until both registers are written.
            hw::install(None, OLD_TAG, Install::Keep);
            hw::install(None, NEW_TAG, Install::Keep);
        } else {
            hw::install(Some(OLD), NEW_TAG, Install::Keep);
        }
        hw::install(Some(NEW), NEW_TAG, Install::Keep);
        sync::note("user mode");
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Switch {
    fn main(&self, _: usize) {
        self.switch();
    }
}
