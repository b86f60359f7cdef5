//! An emulator's page is smaller than its guest's, and a flush drops one of several.

use crate::bugs::{Bug, code};
use crate::protocols::large_leaf::{Drops, LargeLeaf};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "tlib-pr22-sub-pages",
    id: "G44",
    source: "PR 22",
    year: 2026,
    title: "Fix TLB flush to invalidate all 1K sub-pages within 4K page",
    kernel: "tlib (Renode)",
    arch: "arm",
    rules: &[8],
    about: "The emulator's TLB has units of 1 KiB and the guest flushes pages of 4 KiB; of four units one \
            is dropped.",
    ends: "CPU 0 can still use page 1 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["tlib_pr22.rs", "large_leaf.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    LargeLeaf::model(1, if variant == Variant::Broken { Drops::TheNamed } else { Drops::TheLeaf })
}
