//! A CPU that goes lazy leaves the mask but keeps the root loaded; no flush reaches the upper levels that it caches.

use crate::bugs::{Bug, code};
use crate::protocols::lazy_tables::{Lazy, LazyTables, Policy, Says};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-b956575b-x86-all-lazy",
    id: "A12",
    source: "b956575bed91",
    year: 2017,
    title: "x86/mm: Flush more aggressively in lazy TLB mode",
    arch: "x86",
    rules: &[1, 7],
    about: "A CPU that goes lazy takes itself out of the mask with the root still loaded: no flush reaches it, and its \
            walker can read a page table that was freed.",
    ends: "CPU 1 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    code: code!["linux_b956575b.rs", "lazy_tables.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let lazy = if variant == Variant::Broken { Lazy::Unlisted } else { Lazy::Leaves };
    LazyTables::model(Policy { lazy, says: Says::PageTables })
}
