//! Mapping over a page changes the table and flushes nothing.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "asterinas-69abc09f-missing-flush",
    id: "G6",
    source: "69abc09f5 (PR 862)",
    year: 2024,
    title: "Add missing TLB flushes to `VmSpace`",
    kernel: "Asterinas",
    arch: "x86",
    rules: &[8],
    about: "Mapping over a page, unmapping and protecting change the page table and flush nothing; the program goes \
            on with its old translation.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    code: code!["asterinas_69abc09f.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Nobody } else { Reach::Members };
    Unmap::model(Policy { cpus: 1, current: 0, change: Change::Copy, reach, free: Free::AfterFlush })
}
