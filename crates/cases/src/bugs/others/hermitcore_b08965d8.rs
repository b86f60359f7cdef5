//! A kernel with one address space believes that it needs no flushes.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "hermitcore-b08965d8-one-space",
    id: "G17b",
    source: "e84e706c4 in libhermit (once b08965d8)",
    year: 2016,
    title: "reactivate IPI for a TLB shootdown",
    kernel: "HermitCore",
    arch: "x86",
    rules: &[4, 8],
    about: "A kernel with one address space for all cores turned its flushes off; replacing a mapping leaves the old \
            frame in every TLB.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    code: code!["hermitcore_b08965d8.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Nobody } else { Reach::Members };
    Unmap::model(Policy { cpus: 2, current: 0, change: Change::Copy, reach, free: Free::AfterFlush })
}
