//! The switch of a space relies on a flush that this architecture does not do.

use crate::bugs::{Bug, code};
use crate::protocols::one_tag::{Flush, OneTag};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "serenity-6a858185-root-write",
    id: "G40",
    source: "6a8581855d4e",
    year: 2023,
    title: "Kernel/aarch64: Flush entire TLB cache when changing TTBR0_EL1",
    kernel: "SerenityOS",
    arch: "arm64",
    rules: &[12],
    about: "On arm64 a write of the root register flushes nothing, unlike on x86; every process hits the \
            translations of the one before.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "tag-reuse",
    code: code!["serenity_6a858185.rs", "one_tag.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    OneTag::model(if variant == Variant::Broken { Flush::Never } else { Flush::AfterLoad })
}
