//! The interrupt of a remote call overtakes the store of its flag, and is taken for a late one.

use crate::bugs::{Bug, code};
use crate::protocols::flagged_call::{Barrier, Flag, FlaggedCall, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "sel4-b8f1753d-ipi-barrier",
    id: "B9b",
    source: "b8f1753d64d8",
    year: 2023,
    title: "ipi: add missing barrier and enforce completion",
    kernel: "seL4",
    arch: "arm64 (GICv3)",
    rules: &[6, 11],
    about: "The flag of a remote call is ordered before other stores but not before the interrupt, which is \
            sent by a register write; the target finds no flag and ignores it.",
    ends: "no CPU can go on: CPU 0 waits for call.pending to change from 0x1",
    engine: "switch-in/pso",
    code: code!["sel4_b8f1753d.rs", "flagged_call.rs"],
    ..Bug::delayed_store(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let barrier = if variant == Variant::Broken { Barrier::Orders } else { Barrier::Completes };
    FlaggedCall::model(Policy { flag: Flag::Plain, barrier, enters_kernel: false })
}
