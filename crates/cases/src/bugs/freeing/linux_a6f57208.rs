//! With less than two users a page table is freed at once, lazy CPUs or not.

use crate::bugs::{Bug, code};
use crate::protocols::table_batch::{Other, Past, Policy, TableBatch};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-a6f57208-lone-user-tables",
    id: "D4",
    source: "a6f572084fbe",
    year: 2018,
    title: "mm/tlb: Remove tlb_remove_table() non-concurrent condition",
    arch: "generic",
    rules: &[7, 9],
    about: "A space with fewer than two users frees its page tables at once, before any flush, though a lazy CPU \
            has its root loaded and may walk them.",
    ends: "CPU 1 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    code: code!["linux_a6f57208.rs", "table_batch.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let alone = if variant == Variant::Broken { Past::Free } else { Past::Never };
    TableBatch::model(Policy { alone, no_memory: Past::FlushAndFree, other: Other::IsLazy })
}
