//! Two cores unmap at once, each waits for the other, and the kernel runs with interrupts off.

use crate::bugs::{Bug, code};
use crate::protocols::diagonal::{Diagonal, Spaces, Waits};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "nrk-72e720f2-diagonal",
    id: "G12b",
    source: "72e720f2",
    year: 2023,
    title: "fix unmap bug, add test to check multi-core simultaneous shootdowns",
    kernel: "NRK",
    arch: "x86",
    rules: &[11],
    about: "Two cores that unmap at once wait for each other with interrupts off; neither empties its own queue of \
            shootdowns.",
    ends: "no CPU can go on: CPU 0 waits for mail0to1.request to change from 0x1; CPU 1 waits for mail1to0.request to change from 0x2",
    engine: "masked-flushers",
    code: code!["nrk_72e720f2.rs", "diagonal.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    Diagonal::model(Spaces::One, if variant == Variant::Broken { Waits::Idly } else { Waits::AndServes })
}
