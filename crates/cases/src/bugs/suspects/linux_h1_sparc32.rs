//! As read: an owner flushes everywhere, then sees one user and overwrites the mask with itself.

use crate::bugs::{Bug, code};
use crate::protocols::single_user::{Outsider, Policy, Remote, SingleUser, Trim};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-h1-sparc32-single-user",
    id: "H1b",
    source: "read in Linux 6.19, arch/sparc/mm/srmmu.c",
    year: 2026,
    title: "smp_flush_tlb_mm(): the mask after the call",
    arch: "sparc32",
    rules: &[3, 9],
    about: "As we read it, an owner calls all members of the mask and then, if it sees one user, overwrites the mask with itself; \
            a kernel thread that borrowed the space in between drops out of it.",
    ends: "CPU 1 can still use page 1 of space A -> frame 2, which was freed (SD-8)",
    engine: "seed",
    code: code!["linux_h1_sparc32.rs", "single_user.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let trim = if variant == Variant::Broken { Trim::OverwriteAfterCall } else { Trim::Never };
    SingleUser::model(Policy {
        trim,
        remote: Remote::CrossCall,
        outsider: Outsider::Borrows,
        joins_clean: true,
        own_tags: false,
    })
}
