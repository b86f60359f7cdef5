//! A CPU leaves a space with interrupts on; a request to leave that comes in between clears its bit too early.

use crate::bugs::{Bug, code};
use crate::protocols::single_user::{Outsider, Policy, Remote, SingleUser, Trim};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-dfaed3e1-powerpc-self-trim",
    id: "A3",
    source: "dfaed3e1fa70",
    year: 2023,
    title: "powerpc/64s/radix: Fix exit lazy tlb mm switch with irqs enabled",
    arch: "powerpc64 radix",
    rules: &[1, 3],
    about: "A lazy CPU that leaves a space by itself notes it before hardware has switched, with interrupts on; a request that \
            comes in between takes its bit out of the mask with the root still loaded.",
    ends: "CPU 1 has the root of space A loaded but is not in its mask (SD-1)",
    engine: "trim-kept-bits",
    code: code!["linux_dfaed3e1.rs", "single_user.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let outsider = if variant == Variant::Broken {
        Outsider::Leaves { irqs_off: false }
    } else {
        Outsider::Leaves { irqs_off: true }
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
