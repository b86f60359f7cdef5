//! A fault is handled by mapping the page, and comes again, as the CPU still knows that there is none.

use crate::bugs::{Bug, code};
use crate::protocols::fresh_page::{FreshPage, Page};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "fiasco-b65fe69e-sigma0-fault",
    id: "G49",
    source: "b65fe69e2602",
    year: 2024,
    title: "riscv: Flush TLB after handling sigma0 page fault",
    kernel: "L4Re Fiasco",
    arch: "riscv64",
    rules: &[4],
    about: "The kernel maps a page for a fault and returns; the CPU has cached that there is none, and \
            faults again, for ever.",
    ends: "CPU 0 may find page 0 of space A absent (SD-4)",
    engine: "seed",
    duty: "whether mapping flushes is decided where entries are written, and the engine flushes what it is told",
    code: code!["fiasco_b65fe69e.rs", "fresh_page.rs"],
    ..Bug::race(Memory::Pso, |variant| FreshPage::model(Page::User, variant == Variant::Fixed))
};
