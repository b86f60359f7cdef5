//! A virtual CPU looks for requests, and only then says that it is in user mode again.

use crate::bugs::{Bug, code};
use crate::protocols::published_mode::{First, InKernel, Policy, PublishedMode};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "quark-650ca4fe-mode-first",
    id: "G71",
    source: "650ca4fe30189df0a0c3db076782124751bf2655 (PR 527)",
    year: 2022,
    title: "fix tlbshootdown deadlock",
    kernel: "Quark",
    arch: "x86",
    rules: &[5, 8],
    about: "A virtual CPU on its way to user mode looks for flush requests before it publishes \"user\"; a request \
            between the two neither interrupts it nor is seen.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "transport-paravirtual",
    code: code!["quark_650ca4fe.rs", "published_mode.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let first = if variant == Variant::Broken { First::Looks } else { First::Publishes };
    PublishedMode::model(Policy { first, in_kernel: InKernel::Looks })
}
