//! Between two threads of one process a CPU clears and sets its bit though its page tables stay loaded.

use crate::bugs::{Bug, code};
use crate::protocols::switching::{Between, Leaves, Policy, Switching};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "openbsd-9f1181d5-thread-switch",
    id: "A16",
    source: "9f1181d59de3",
    year: 2023,
    title: "Don't clear the cpu's bit in the old pmap's pm_cpus until we're off the old one",
    kernel: "OpenBSD",
    arch: "amd64",
    rules: &[1, 3],
    about: "A switch between two threads of one process clears the CPU's bit and sets it again, with the page tables \
            loaded all along; a flush in between misses the CPU.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "lazy-return",
    code: code!["openbsd_9f1181d5.rs", "switching.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let leaves = if variant == Variant::Broken { Leaves::WithTheThread } else { Leaves::WithTheRoot };
    Switching::model(Policy { leaves, between: Between::Nothing, tagged: false })
}
