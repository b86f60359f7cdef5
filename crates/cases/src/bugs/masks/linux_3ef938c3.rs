//! A flush before a table is freed says that no tables are freed, so lazy CPUs are skipped.

use crate::bugs::{Bug, code};
use crate::protocols::lazy_tables::{Lazy, LazyTables, Policy, Says};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-3ef938c3-x86-zapped-pmd",
    id: "A13",
    source: "3ef938c35035 (CVE-2025-22045)",
    year: 2025,
    title: "x86/mm: Fix flush_tlb_range() when used for zapping normal PMDs",
    arch: "x86",
    rules: &[7],
    about: "Collapsing small pages into a huge one unhooks a page table through a flush that promises `no tables freed`: \
            lazy CPUs are skipped, and the table is freed all the same.",
    ends: "CPU 1 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    code: code!["linux_3ef938c3.rs", "lazy_tables.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let says = if variant == Variant::Broken { Says::Pages } else { Says::PageTables };
    LazyTables::model(Policy { lazy: Lazy::LeavesForTables, says })
}
