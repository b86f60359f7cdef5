//! As read: an owner that sees one user takes the tags of other CPUs away; a borrower has loaded its own already.

use crate::bugs::{Bug, code};
use crate::protocols::single_user::{Outsider, Policy, Remote, SingleUser, Trim};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-h1-mips-single-user",
    id: "H1",
    source: "read in Linux 6.19, arch/mips/kernel/smp.c",
    year: 2026,
    title: "flush_tlb_mm(), flush_tlb_range(), flush_tlb_page(): the case of one user",
    arch: "mips",
    rules: &[3, 9],
    about: "As we read it, an owner that sees one user overwrites the other CPUs' tags for the space and calls nobody; a kernel \
            thread that has just borrowed the space has its tag loaded.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "seed",
    code: code!["linux_h1_mips.rs", "single_user.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let trim = if variant == Variant::Broken { Trim::TakeTagsAway } else { Trim::Never };
    let (remote, outsider) = (Remote::CrossCall, Outsider::Borrows);
    SingleUser::model(Policy { trim, remote, outsider, joins_clean: false, own_tags: true })
}
