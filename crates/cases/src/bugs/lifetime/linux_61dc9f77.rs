//! An error after the reference was dropped leads to the exit that drops it again.

use crate::bugs::{Bug, code};
use crate::protocols::balance::{Balance, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-61dc9f77-procmap-double-put",
    id: "E6",
    source: "61dc9f776705 (CVE-2026-43178)",
    year: 2026,
    title: "procfs: fix possible double mmput() in do_procmap_query()",
    rules: &[10],
    about: "A query about mappings drops its user reference, then finds the buffer too short and drops it once more: the \
            mappings of a running program are torn down under it.",
    ends: "CPU 0 has the root of space A loaded, which was freed (SD-10)",
    engine: "upgrade-vs-last-drop",
    code: code!["linux_61dc9f77.rs", "balance.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let twice_on_error = variant == Variant::Broken;
    Balance::model(Policy { twice_on_error, before_retry: true })
}
