//! mremap moves a whole table while reclaim is clearing an entry in it.

use crate::bugs::{Bug, code};
use crate::protocols::table_move::{FileLock, Look, Other, Policy, TableMove};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-97113eb3-mremap-rmap",
    id: "D2",
    source: "97113eb39fa7 (CVE-2022-41222)",
    year: 2021,
    title: "mm/mremap: hold the rmap lock in write mode when moving page table entries",
    rules: &[8],
    about: "Reclaim has found a page at its old address when mremap moves the table; it clears the entry, \
            flushes the old address, and frees a page that is used at the new one.",
    ends: "CPU 0 can still use page 2 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    code: code!["linux_97113eb3.rs", "table_move.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let lock = if variant == Variant::Broken { FileLock::NotTaken } else { FileLock::Held };
    TableMove::model(Policy { other: Other::Reclaim, lock, look: Look::Once })
}
