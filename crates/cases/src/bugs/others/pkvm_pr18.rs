//! A flag that says "flush" is decided when there is nothing left to see.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "pkvm-pr18-unmap-leaf",
    id: "G47",
    source: "pKVM-IA PR 18",
    year: 2023,
    title: "pkvm: x86: Fix missed TLB flushing in pgtable_unmap_leaf",
    kernel: "pKVM-IA",
    arch: "x86 (EPT)",
    rules: &[4, 8],
    about: "Unmapping a leaf asks whether the entry is present after it was cleared, so that the flush \
            that hangs on the answer never comes.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    argued: &[(
        "unmap.rs: flush page 0",
        "the routine flushes the CPU that it runs on, too, which holds nothing of the space here",
    )],
    code: code!["pkvm_pr18.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Nobody } else { Reach::Members };
    Unmap::model(Policy { cpus: 2, current: 1, change: Change::Unmap, reach, free: Free::AfterFlush })
}
