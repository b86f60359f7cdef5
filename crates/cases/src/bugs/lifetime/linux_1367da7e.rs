//! swapoff finds a space whose fork failed, and walks into the hole.

use crate::bugs::{Bug, code};
use crate::protocols::half_built::{Ask, HalfBuilt, Policy, Publish};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-1367da7e-swapoff-fork",
    id: "E11b",
    source: "1367da7eb875 (CVE-2025-39992)",
    year: 2025,
    title: "mm: swap: check for stable address space before operating on the VMA",
    rules: &[10],
    about: "swapoff finds a space in the list of all that have pages in swap while fork is still building it, and walks into the hole \
            that a failed fork leaves.",
    ends: "follows what a failed fork left in place of an area",
    engine: "upgrade-vs-last-drop",
    code: code!["linux_1367da7e.rs", "half_built.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let ask = if variant == Variant::Broken { Ask::Users } else { Ask::Stable };
    HalfBuilt::model(Policy { name: "swapoff", publish: Publish::Early, ask })
}
