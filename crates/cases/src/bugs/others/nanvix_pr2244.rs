//! An emptied table is freed while the CPU still has the entry that led to it.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "nanvix-pr2244-upper-entry",
    id: "G45",
    source: "PR 2244",
    year: 2026,
    title: "[kernel] Flush TLB entries after PDE/PTE modifications",
    kernel: "Nanvix",
    arch: "x86",
    rules: &[7],
    about: "Unmapping the last page of a table clears the upper entry and frees the table, and no INVLPG \
            drops the cached upper entry.",
    ends: "CPU 0 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    code: code!["nanvix_pr2244.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Nobody } else { Reach::Members };
    Unmap::model(Policy { cpus: 1, current: 0, change: Change::Table, reach, free: Free::AfterFlush })
}
