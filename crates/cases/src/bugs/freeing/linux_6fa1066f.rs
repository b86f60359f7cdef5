//! mremap decides to move a table, and moves what it finds after it has its locks: nothing.

use crate::bugs::{Bug, code};
use crate::protocols::table_move::{FileLock, Look, Other, Policy, TableMove};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-6fa1066f-mremap-retract",
    id: "D18",
    source: "6fa1066fc5d0 (CVE-2024-50066)",
    year: 2024,
    title: "mm/mremap: fix move_normal_pmd/retract_page_tables race",
    rules: &[7],
    about: "mremap sees a table and decides to move it; before it has its locks, khugepaged takes the table \
            away, and mremap installs a table at physical page 0.",
    ends: "CPU 0 links physical page 0 as a table",
    engine: "split-table-free",
    code: code!["linux_6fa1066f.rs", "table_move.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let look = if variant == Variant::Broken { Look::Once } else { Look::Again };
    TableMove::model(Policy { other: Other::Retract, lock: FileLock::Held, look })
}
