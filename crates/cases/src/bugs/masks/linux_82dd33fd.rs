//! A CPU leaves the mask when it switches away, though with ASIDs its TLB keeps what it holds.

use crate::bugs::{Bug, code};
use crate::protocols::switching::{Between, Leaves, Policy, Switching};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-82dd33fd-riscv-asid-mask",
    id: "A6",
    source: "82dd33fde026",
    year: 2023,
    title: "riscv: asid: Fixup stale TLB entry cause application crash",
    arch: "riscv64",
    rules: &[1, 3],
    about: "A CPU drops out of the mask at switch-out while its TLB keeps the space's ASID; the next flush misses it, \
            and it comes back to stale translations.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "warm-tags",
    code: code!["linux_82dd33fd.rs", "switching.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let leaves = if variant == Variant::Broken { Leaves::WithTheRoot } else { Leaves::Never };
    Switching::model(Policy { leaves, between: Between::Kernel, tagged: true })
}
