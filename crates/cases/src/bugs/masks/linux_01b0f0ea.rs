//! A CPU goes off line with its bit set and its TLB full; a trim that cannot ask it counts it as flushed.

use crate::bugs::{Bug, code};
use crate::protocols::single_user::{Outsider, Policy, Remote, SingleUser, Trim};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-01b0f0ea-powerpc-offline",
    id: "A15",
    source: "01b0f0eae081",
    year: 2020,
    title: "powerpc/64s: Trim offlined CPUs from mm_cpumasks",
    arch: "powerpc64 radix",
    rules: &[3, 13],
    about: "A CPU goes off line with its bit in the mask and translations in its TLB; the owner asks the CPUs that are on line \
            to leave, believes itself alone, and flushes locally.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "trim-vs-hotplug",
    code: code!["linux_01b0f0ea.rs", "single_user.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let outsider = if variant == Variant::Broken {
        Outsider::Unplugged { leaves: false }
    } else {
        Outsider::Unplugged { leaves: true }
    };
    let trim = Trim::AskToLeave;
    SingleUser::model(Policy {
        trim,
        remote: Remote::Broadcast,
        outsider,
        joins_clean: false,
        own_tags: false,
    })
}
