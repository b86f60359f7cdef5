//! An unmap removes more than it was asked for, and flushes what it was asked for.

use crate::bugs::{Bug, code};
use crate::protocols::large_leaf::{Drops, LargeLeaf};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-ee6e69d0-short-gather",
    id: "D35",
    source: "ee6e69d03255 (CVE-2026-31735)",
    year: 2026,
    title: "iommupt: Fix short gather if the unmap goes into a large mapping",
    arch: "generic (IOMMU)",
    rules: &[8],
    about: "An unmap that ends inside a large IOMMU leaf removes all of the leaf and flushes only the \
            range that was asked for.",
    ends: "CPU 1 can still use page 1 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["linux_ee6e69d0.rs", "large_leaf.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    LargeLeaf::model(2, if variant == Variant::Broken { Drops::TheNamed } else { Drops::TheLeaf })
}
