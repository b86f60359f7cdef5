//! A device's own TLB is left out of the list of what a flush reaches.

use crate::bugs::{Bug, code};
use crate::protocols::other_mmu::{OtherMmu, Policy, Told, Walks};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "pkvm-pr86-device-tlb",
    id: "G55",
    source: "pKVM-IA PR 86",
    year: 2026,
    title: "iommu/vt-d: pKVM: Fix devtlb flush enable logic",
    kernel: "pKVM-IA",
    arch: "x86 (VT-d)",
    rules: &[8],
    about: "The list of what to flush for a device is made before its TLB is switched on, so the device's \
            own TLB is not in it and is never flushed.",
    ends: "CPU 1 can still use page 0 of space B -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["pkvm_pr86.rs", "other_mmu.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let told = if variant == Variant::Broken { Told::Cleared } else { Told::ClearedAndFlushed };
    OtherMmu::model(Policy { words: "unmap page 0", walks: Walks::ItsOwnTables, told, frees_table: false })
}
