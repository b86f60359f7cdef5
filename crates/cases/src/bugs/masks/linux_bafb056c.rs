//! The owner of an address space that has one user overwrites the mask; a borrower's bit is lost.

use crate::bugs::{Bug, code};
use crate::protocols::single_user::{Outsider, Policy, Remote, SingleUser, Trim};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-bafb056c-sparc64-trim",
    id: "A1",
    source: "bafb056ce279",
    year: 2020,
    title: "sparc64: remove mm_cpumask clearing to fix kthread_use_mm race",
    arch: "sparc64",
    rules: &[3, 9],
    about: "An owner that sees one user overwrites the CPU mask with itself, and wipes out the bit of a kernel thread \
            that has just borrowed the space.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "seed",
    code: code!["linux_bafb056c.rs", "single_user.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let trim = if variant == Variant::Broken { Trim::Overwrite } else { Trim::Never };
    SingleUser::model(Policy {
        trim,
        remote: Remote::CrossCall,
        outsider: Outsider::Borrows,
        joins_clean: true,
        own_tags: false,
    })
}
