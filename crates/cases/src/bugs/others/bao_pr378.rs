//! Fresh memory of a hypervisor faults, as the core has kept the entry from when it was invalid.

use crate::bugs::{Bug, code};
use crate::protocols::fresh_page::{FreshPage, Page};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "bao-pr378-fresh-mapping",
    id: "G50",
    source: "PR 378",
    year: 2026,
    title: "fix(mem): invalidate TLB after mem_map to make new PTEs visible",
    kernel: "Bao",
    arch: "riscv64",
    rules: &[4],
    about: "The hypervisor maps memory for itself, fences its stores, and touches it; the core has cached \
            the entry as invalid and faults.",
    ends: "CPU 0 may find kernel page 0 absent (SD-4)",
    engine: "seed",
    duty: "whether mapping flushes is decided where entries are written, and the engine flushes what it is told",
    code: code!["bao_pr378.rs", "fresh_page.rs"],
    ..Bug::race(Memory::Pso, |variant| FreshPage::model(Page::Kernel, variant == Variant::Fixed))
};
