//! Copy-on-write replaces a page and flushes nobody.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "managarm-0b00105d-copy-on-write",
    id: "G37",
    source: "0b00105dd11f",
    year: 2019,
    title: "thor: Perform shootdown during CoW",
    kernel: "Managarm",
    arch: "x86",
    rules: &[4, 8],
    about: "Copy-on-write replaces the shared page by the copy in the table, and no CPU is told: another \
            thread goes on with the old page.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["managarm_0b00105d.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Nobody } else { Reach::Members };
    Unmap::model(Policy { cpus: 2, current: 0, change: Change::Copy, reach, free: Free::AfterFlush })
}
