//! A page of the kernel is mapped on one core and faults on another.

use crate::bugs::{Bug, code};
use crate::protocols::fresh_page::{FreshPage, Page};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "litebox-pr769-became-present",
    id: "G51",
    source: "PR 769",
    year: 2026,
    title: "Fix missing TLB flush",
    kernel: "LiteBox",
    arch: "x86",
    rules: &[4],
    about: "A kernel page becomes present and no core is told; one that holds it as absent faults in the \
            kernel, which has no handler for that.",
    ends: "CPU 0 may find kernel page 0 absent (SD-4)",
    engine: "seed",
    duty: "whether mapping flushes is decided where entries are written, and the engine flushes what it is told",
    code: code!["litebox_pr769.rs", "fresh_page.rs"],
    ..Bug::race(Memory::Tso, |variant| FreshPage::model(Page::Kernel, variant == Variant::Fixed))
};
