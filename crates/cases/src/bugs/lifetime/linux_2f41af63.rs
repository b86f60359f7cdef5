//! A driver that starts again takes a second reference and drops one.

use crate::bugs::{Bug, code};
use crate::protocols::balance::{Balance, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-2f41af63-amdxdna-retry-leak",
    id: "E6b",
    source: "2f41af638c92 (CVE-2026-63873)",
    year: 2026,
    title: "accel/amdxdna: Fix mm_struct reference leak in aie2_populate_range()",
    rules: &[10, 14],
    about: "A driver that has to start again takes its user reference a second time without dropping the first: the address space \
            never dies.",
    ends: "frame 1 is lost: all CPUs have finished and it was never freed (SD-14)",
    engine: "upgrade-vs-last-drop",
    code: code!["linux_2f41af63.rs", "balance.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let before_retry = variant == Variant::Fixed;
    Balance::model(Policy { twice_on_error: false, before_retry })
}
