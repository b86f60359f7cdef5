//! RISC-V keeps translations across a write of the root register, and all spaces have ASID 0.

use crate::bugs::{Bug, code};
use crate::protocols::one_tag::{Flush, OneTag};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "asterinas-491b35b0-riscv-activate",
    id: "G9",
    source: "491b35b0f (PR 3673)",
    year: 2026,
    title: "Flush RISC-V TLBs after page table activation",
    kernel: "Asterinas",
    arch: "riscv64",
    rules: &[12],
    about: "Activating a page table writes satp with ASID 0 and flushes nothing; the next space hits the \
            translations of the last.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "tag-reuse",
    code: code!["asterinas_491b35b0.rs", "one_tag.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    OneTag::model(if variant == Variant::Broken { Flush::Never } else { Flush::AfterLoad })
}
