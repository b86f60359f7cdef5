//! The table that khugepaged unlinks is reused while a lockless walker is in it.

use crate::bugs::{Bug, code};
use crate::protocols::lockless::{Lockless, Policy, Recheck, Task, Wait};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-2ba99c5e-gup-table",
    id: "D10",
    source: "2ba99c5e0881",
    year: 2022,
    title: "mm/khugepaged: fix GUP-fast interaction by sending IPI",
    arch: "generic (broadcast flushes)",
    rules: &[7],
    about: "khugepaged unlinks a table, flushes by broadcast, and puts the table to another use, while a walker \
            with interrupts off still reads it.",
    ends: "use of table1.slot0 after its memory was given back",
    engine: "lazy-vs-table-free",
    code: code!["linux_2ba99c5e.rs", "lockless.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let wait = if variant == Variant::Broken { Wait::Flush } else { Wait::FlushAndWalkers };
    Lockless::model(Policy { task: Task::CollapseAndReuse, wait, recheck: Recheck::LeafAndRoot })
}
