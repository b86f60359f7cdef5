//! As read: nothing orders the entry's store before the mask's read, nor the bit before the walker.

use crate::bugs::{Bug, code};
use crate::protocols::switch_in::{Bit, Policy, SwitchIn};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-h2-riscv-switch-fence",
    id: "H2",
    source: "read in Linux 6.19, arch/riscv/mm/context.c and tlbflush.c",
    year: 2026,
    title: "switch_mm() and __flush_tlb_range(): no full fence on either side",
    arch: "riscv",
    rules: &[4, 5],
    about: "As we read it, neither side has a full fence: an entry's store may wait while the mask is read, and a CPU that switches \
            in meanwhile walks the old entry and is not called.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in/pso",
    code: code!["linux_h2_riscv.rs", "switch_in.rs"],
    ..Bug::delayed_store(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let fences = variant == Variant::Fixed;
    SwitchIn::model(Policy { bit: Bit::BeforeRoot, fences })
}
