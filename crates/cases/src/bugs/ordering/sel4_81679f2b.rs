//! A waiting CPU sees the flag of a remote call before the arguments.

use crate::bugs::{Bug, code};
use crate::protocols::flagged_call::{Barrier, Flag, FlaggedCall, Policy};
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "sel4-81679f2b-ipi-flag",
    id: "B9",
    source: "81679f2b9522",
    year: 2025,
    title: "SMP: Fix IPI Race",
    kernel: "seL4",
    arch: "arm64",
    rules: &[6],
    about: "A CPU that waits for the kernel lock polls the flag of a remote call, sees it before the \
            arguments that were stored before it, flushes what an earlier call named, and answers.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in/pso",
    code: code!["sel4_81679f2b.rs", "flagged_call.rs"],
    ..Bug::passing_stores(model)
};

fn model(variant: Variant) -> Model {
    let flag = if variant == Variant::Broken { Flag::Plain } else { Flag::AfterArguments };
    FlaggedCall::model(Policy { flag, barrier: Barrier::Completes, enters_kernel: true })
}
