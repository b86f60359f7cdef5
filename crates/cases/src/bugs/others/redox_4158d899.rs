//! Two CPUs ask each other for a flush and wait, interrupts off.

use crate::bugs::{Bug, code};
use crate::protocols::diagonal::{Diagonal, Spaces, Waits};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "redox-4158d899-diagonal",
    id: "G1",
    source: "4158d899",
    year: 2024,
    title: "Probably fix TLB shootdown \"diagonal\" livelock.",
    kernel: "Redox",
    arch: "x86",
    rules: &[11],
    about: "Two CPUs with interrupts off each send the other a flush request and spin for the answer; neither serves \
            the other.",
    ends: "no CPU can go on: CPU 0 waits for mail0to1.request to change from 0x1; CPU 1 waits for mail1to0.request to change from 0x2",
    engine: "masked-flushers",
    code: code!["redox_4158d899.rs", "diagonal.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    Diagonal::model(Spaces::Two, if variant == Variant::Broken { Waits::Idly } else { Waits::AndServes })
}
