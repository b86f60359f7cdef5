//! An I/O MMU that shares the kernel's page tables is not told when one of them is freed.

use crate::bugs::{Bug, code};
use crate::protocols::other_mmu::{OtherMmu, Policy, Told, Walks};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-e37d5a2d-iommu-sva",
    id: "D26",
    source: "e37d5a2d60a3 (CVE-2025-71202), 72f98ef9a4be (CVE-2025-71089)",
    year: 2025,
    title: "iommu/sva: invalidate stale IOTLB entries for kernel address space",
    arch: "x86",
    rules: &[7],
    about: "An IOMMU that walks a process's tables walks the kernel's half too and caches upper entries; vfree \
            flushes the CPUs only and frees a table that the IOMMU still walks.",
    ends: "CPU 1 can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    code: code!["linux_e37d5a2d.rs", "other_mmu.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let told = if variant == Variant::Broken { Told::Nothing } else { Told::ClearedAndFlushed };
    OtherMmu::model(Policy { words: "vfree", walks: Walks::TheSameTables, told, frees_table: true })
}
