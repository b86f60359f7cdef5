//! An interrupt that finds a virtual CPU in the kernel, on its way to user mode, is ignored.

use crate::bugs::{Bug, code};
use crate::protocols::published_mode::{First, InKernel, Policy, PublishedMode};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "quark-835d7548-kernel-interrupt",
    id: "G72",
    source: "835d75487af9c0c9e0081f1bde65bb9352112604",
    year: 2022,
    title: "handle the interurpt race condition for tlbshootdown",
    kernel: "Quark",
    arch: "x86",
    rules: &[6, 8],
    about: "The handler of flush interrupts does nothing where it interrupts the kernel, though that has published \
            \"user\" and looked for requests already.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "transport-paravirtual",
    code: code!["quark_835d7548.rs", "published_mode.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let in_kernel = if variant == Variant::Broken { InKernel::Returns } else { InKernel::Looks };
    PublishedMode::model(Policy { first: First::Publishes, in_kernel })
}
