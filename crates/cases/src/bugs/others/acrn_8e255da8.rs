//! Memory becomes secret, and one CPU of several forgets where it was.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "acrn-8e255da8-secure-world",
    id: "G42",
    source: "8e255da82991",
    year: 2018,
    title: "trusty: invept should go through all vcpus",
    kernel: "ACRN",
    arch: "x86 (EPT)",
    rules: &[4, 8],
    about: "Memory moves to a guest's secure world, and the second-level flush happens on one CPU; the \
            guest's other virtual CPUs still reach it.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["acrn_8e255da8.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Here } else { Reach::Members };
    Unmap::model(Policy { cpus: 2, current: 1, change: Change::Unmap, reach, free: Free::AfterFlush })
}
