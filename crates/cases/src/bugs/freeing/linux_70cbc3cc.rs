//! A lockless walker takes a reference to a page that khugepaged has already found unused.

use crate::bugs::{Bug, code};
use crate::protocols::lockless::{Lockless, Policy, Recheck, Task, Wait};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-70cbc3cc-gup-collapse",
    id: "D9",
    source: "70cbc3cc78a9",
    year: 2022,
    title: "mm: gup: fix the fast GUP race against THP collapse",
    arch: "generic (broadcast flushes)",
    rules: &[7, 8],
    about: "khugepaged unlinks a table, finds its page unused, and copies it; a lockless walker that was in the \
            table already takes its reference late and keeps the stale page.",
    ends: "CPU 1 uses frame 1 writable, which was revoked (SD-8)",
    engine: "pair-table-table",
    code: code!["linux_70cbc3cc.rs", "lockless.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let recheck = if variant == Variant::Broken { Recheck::Leaf } else { Recheck::LeafAndRoot };
    Lockless::model(Policy { task: Task::Collapse, wait: Wait::Flush, recheck })
}
