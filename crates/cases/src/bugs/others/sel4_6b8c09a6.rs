//! Unmapping flushes only if the space is the one that this CPU runs.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "sel4-6b8c09a6-unmap-current",
    id: "G11",
    source: "6b8c09a6d",
    year: 2019,
    title: "x86: always invalidate TLB during unmapPage",
    kernel: "seL4",
    arch: "x86",
    rules: &[4, 8],
    about: "unmapPage invalidates only if the space is the current one on this core; a thread of it on another core \
            keeps its translation.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in",
    argued: &[(
        "unmap.rs: flush page 0",
        "the routine flushes the CPU that it runs on, too, which holds nothing of the space here",
    )],
    code: code!["sel4_6b8c09a6.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::MembersIfCurrent } else { Reach::Members };
    Unmap::model(Policy { cpus: 2, current: 1, change: Change::Unmap, reach, free: Free::AfterFlush })
}
