//! When there is no memory for the batch, a page table is freed without a flush.

use crate::bugs::{Bug, code};
use crate::protocols::table_batch::{Other, Past, Policy, TableBatch};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-d86564a2-batch-oom",
    id: "D6",
    source: "d86564a2f085",
    year: 2018,
    title: "mm/tlb, x86/mm: Support invalidating TLB caches for RCU_TABLE_FREE",
    arch: "x86",
    rules: &[7, 14],
    about: "If the page for the batch of tables cannot be allocated, the table is freed after an interrupt that \
            waits for lockless walkers but flushes nothing.",
    ends: "CPU 1 can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    code: code!["linux_d86564a2.rs", "table_batch.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let no_memory = if variant == Variant::Broken { Past::SyncAndFree } else { Past::FlushAndFree };
    TableBatch::model(Policy { alone: Past::Never, no_memory, other: Other::Runs })
}
