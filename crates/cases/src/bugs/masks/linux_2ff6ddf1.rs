//! Lazy CPUs are skipped by flushes; when a page-table page is freed they may still walk it.

use crate::bugs::{Bug, code};
use crate::protocols::lazy_tables::{Lazy, LazyTables, Policy, Says};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-2ff6ddf1-x86-lazy-tables",
    id: "A11",
    source: "2ff6ddf19c0e",
    year: 2018,
    title: "x86/mm/tlb: Leave lazy TLB mode at page table free time",
    arch: "x86",
    rules: &[7],
    about: "A flush that skips lazy CPUs is enough for pages but not for page-table pages: a lazy CPU's walker can read \
            the freed table.",
    ends: "CPU 1 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    code: code!["linux_2ff6ddf1.rs", "lazy_tables.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let lazy = if variant == Variant::Broken { Lazy::Skipped } else { Lazy::LeavesForTables };
    LazyTables::model(Policy { lazy, says: Says::PageTables })
}
