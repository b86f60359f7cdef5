//! An ASID that was freed is given out again without a flush.

use crate::bugs::{Bug, code};
use crate::protocols::one_tag::{Flush, OneTag};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "haiku-9406d2a4-asid-reuse",
    id: "G30",
    source: "9406d2a4f275",
    year: 2024,
    title: "arm64: Flush the entire ASID from the TLB anytime we reuse one.",
    kernel: "Haiku",
    arch: "arm64",
    rules: &[12],
    about: "A space gets the first ASID that is free and loads it without a flush; what its last owner \
            left in the TLB is still there.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "tag-reuse",
    code: code!["haiku_9406d2a4.rs", "one_tag.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    OneTag::model(if variant == Variant::Broken { Flush::Never } else { Flush::AfterLoad })
}
