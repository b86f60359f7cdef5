//! The owner asks lazy CPUs to leave and then overwrites the mask; one that had just become a borrower stays, unseen.

use crate::bugs::{Bug, code};
use crate::protocols::single_user::{Outsider, Policy, Remote, SingleUser, Trim};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-a665eec0-powerpc-trim",
    id: "A2",
    source: "a665eec0a22e",
    year: 2020,
    title: "powerpc/64s/radix: Fix mm_cpumask trimming race vs kthread_use_mm",
    arch: "powerpc64 radix",
    rules: &[3, 6, 9],
    about: "An owner asks lazy CPUs to leave and overwrites the CPU mask with itself; a CPU that has just begun to use \
            the space ignores the request without a flush, and loses its bit.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "trim-vs-borrow",
    code: code!["linux_a665eec0.rs", "single_user.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let trim = if variant == Variant::Broken { Trim::AskAndOverwrite } else { Trim::AskToLeave };
    SingleUser::model(Policy {
        trim,
        remote: Remote::Broadcast,
        outsider: Outsider::Borrows,
        joins_clean: false,
        own_tags: false,
    })
}
