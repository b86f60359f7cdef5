//! An emptied table is freed, and another core still walks it.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "tgoskits-pr2009-empty-table",
    id: "G46",
    source: "PR 2009",
    year: 2026,
    title: "fix(page-table-generic): invalidate a reclaimed intermediate table before freeing its frame",
    kernel: "TGOSKits",
    arch: "arm64",
    rules: &[7],
    about: "Unmapping frees a table that has become empty right after its parent entry is cleared; \
            a core may still walk it.",
    ends: "CPU 0 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    code: code!["tgoskits_pr2009.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Nobody } else { Reach::Members };
    Unmap::model(Policy { cpus: 2, current: 0, change: Change::Table, reach, free: Free::AfterFlush })
}
