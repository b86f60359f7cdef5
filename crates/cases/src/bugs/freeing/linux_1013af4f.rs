//! A shared table is handed to another space while a lockless walker is in it.

use crate::bugs::{Bug, code};
use crate::protocols::lockless::{Lockless, Policy, Recheck, Task, Wait};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-1013af4f-hugetlb-unshare",
    id: "D8",
    source: "1013af4f585f (CVE-2025-38085)",
    year: 2025,
    title: "mm/hugetlb: fix huge_pmd_unshare() vs GUP-fast race",
    rules: &[7],
    about: "Two processes share a table; one leaves, and the table becomes private to the other, which maps \
            something else there while a lockless walker of the first is in it.",
    ends: "CPU 1 uses frame 2 of space B for space A (SD-12)",
    engine: "lazy-vs-table-free",
    code: code!["linux_1013af4f.rs", "lockless.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let wait = if variant == Variant::Broken { Wait::Flush } else { Wait::FlushAndWalkers };
    Lockless::model(Policy { task: Task::Unshare, wait, recheck: Recheck::Leaf })
}
