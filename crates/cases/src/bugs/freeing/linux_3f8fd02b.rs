//! A range of kernel memory is unmapped in one root; the entries that other roots have of their own stay.

use crate::bugs::{Bug, code};
use crate::protocols::own_entries::{Change, OwnEntries};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "linux-3f8fd02b-vmalloc-unmap",
    id: "D38",
    source: "3f8fd02b1bf1",
    year: 2019,
    title: "mm/vmalloc: Sync unmappings in __purge_vmap_area_lazy()",
    arch: "x86 (PAE with page-table isolation)",
    rules: &[8],
    about: "vunmap clears the entry in the kernel's own root and flushes; a process whose root has a copy of the entry \
            goes on using the frame.",
    ends: "CPU 1 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-gather",
    code: code!["linux_3f8fd02b.rs", "own_entries.rs"],
    ..Bug::race(Memory::Tso, |variant| OwnEntries::model(change(variant)))
};

fn change(variant: Variant) -> Change {
    if variant == Variant::Broken { Change::ClearsReference } else { Change::ClearsAll }
}
