//! A fork tells the page merger and the huge-page collector of a space before it knows whether there will be one.

use crate::bugs::{Bug, code};
use crate::protocols::half_built::{Ask, HalfBuilt, Policy, Publish};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-985da552-fork-hooks",
    id: "E11",
    source: "985da552a98e (CVE-2024-50263)",
    year: 2024,
    title: "fork: only invoke khugepaged, ksm hooks if no error",
    rules: &[10],
    about: "fork registers the new space with background scanners before it copies the areas; if that fails halfway, a scanner \
            that has a user reference walks into the hole that marks where the copy stopped.",
    ends: "follows what a failed fork left in place of an area",
    engine: "upgrade-vs-last-drop",
    code: code!["linux_985da552.rs", "half_built.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let publish = if variant == Variant::Broken { Publish::Early } else { Publish::AfterSuccess };
    HalfBuilt::model(Policy { name: "a background scan", publish, ask: Ask::Users })
}
