//! An entry gets another memory type while it is valid.

use crate::bugs::{Bug, code};
use crate::protocols::remake::Remake;
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "fiasco-492da1f9-attribute-upgrade",
    id: "G53",
    source: "492da1f9a94f",
    year: 2023,
    title: "arm: Adhere to break-before-make for PTE attribute upgrades",
    kernel: "L4Re Fiasco",
    arch: "arm64",
    rules: &[4],
    about: "Mapping a page again with another memory type, or as global, overwrites the valid entry; Arm \
            demands that it is cleared and flushed first.",
    ends: "CPU 0 may hold page 0 by entries 1 and 2 at once (SD-4)",
    engine: "seed",
    duty: "who writes an entry breaks it before it is made, and the engine flushes what it is told",
    code: code!["fiasco_492da1f9.rs", "remake.rs"],
    ..Bug::race(Memory::Pso, |variant| Remake::model("upgrade page 0", variant == Variant::Fixed))
};
