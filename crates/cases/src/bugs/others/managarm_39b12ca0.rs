//! The sender of a shootdown leaves itself out.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "managarm-39b12ca0-ipi-shorthand",
    id: "G38",
    source: "39b12ca0709b",
    year: 2019,
    title: "thor: Fix shootdown IPI destination bug",
    kernel: "Managarm",
    arch: "x86",
    rules: &[8],
    about: "The shootdown's interrupt goes to all CPUs but the sender, whose own flush was to be done by \
            that interrupt, too.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["managarm_39b12ca0.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Others } else { Reach::Members };
    Unmap::model(Policy { cpus: 2, current: 0, change: Change::Unmap, reach, free: Free::AfterFlush })
}
