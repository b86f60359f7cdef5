//! A table of the kernel is taken out of one root and given back; other roots have entries of their own for it.

use crate::bugs::{Bug, code};
use crate::protocols::own_entries::{Change, OwnEntries};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "linux-f967db0b-pae-free-table",
    id: "D37",
    source: "f967db0b9ed4",
    year: 2018,
    title: "x86/mm: disable ioremap free page handling on x86-PAE",
    arch: "x86 (PAE)",
    rules: &[7],
    about: "ioremap gives a table back that it has taken out of the kernel's own root; on PAE each process has \
            an entry of its own for it.",
    ends: "root A still points to table 2, which was freed (SD-7)",
    engine: "split-table-free",
    argued: &[("free table 2", "the fix is to keep the table")],
    code: code!["linux_f967db0b.rs", "own_entries.rs"],
    ..Bug::race(Memory::Tso, |variant| OwnEntries::model(change(variant)))
};

fn change(variant: Variant) -> Change {
    if variant == Variant::Broken { Change::FreesTable } else { Change::KeepsTable }
}
