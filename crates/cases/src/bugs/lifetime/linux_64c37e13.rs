//! A probe is put into all mappings of a file, and finds a space whose fork failed.

use crate::bugs::{Bug, code};
use crate::protocols::half_built::{Ask, HalfBuilt, Policy, Publish};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-64c37e13-uprobe-fork",
    id: "E11c",
    source: "64c37e134b12 (CVE-2025-21709)",
    year: 2025,
    title: "kernel: be more careful about dup_mmap() failures and uprobe registering",
    rules: &[10],
    about: "A thread that registers a probe finds a half-copied space through the file that one of its areas maps, and walks into the hole \
            that a failed fork leaves.",
    ends: "follows what a failed fork left in place of an area",
    engine: "upgrade-vs-last-drop",
    code: code!["linux_64c37e13.rs", "half_built.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let ask = if variant == Variant::Broken { Ask::Users } else { Ask::Stable };
    HalfBuilt::model(Policy { name: "register a probe", publish: Publish::Early, ask })
}
