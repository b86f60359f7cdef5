//! As read: a CPU that switches in sets its bit after it has loaded the root.

use crate::bugs::{Bug, code};
use crate::protocols::switch_in::{Bit, Policy, SwitchIn};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-h3-loongarch-late-bit",
    id: "H3",
    source: "read in Linux 6.19, arch/loongarch/include/asm/mmu_context.h",
    year: 2026,
    title: "switch_mm_irqs_off(): the bit is set after the root is loaded",
    arch: "loongarch",
    rules: &[1, 2],
    about: "As we read it, a CPU that switches in loads the root first and then sets its bit; a hardware walker may fill in between, \
            and a flush in between does not call it.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in",
    code: code!["linux_h3_loongarch.rs", "switch_in.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let bit = if variant == Variant::Broken { Bit::AfterRoot } else { Bit::BeforeRoot };
    SwitchIn::model(Policy { bit, fences: true })
}
