//! A change of protection changes the memory type of a valid entry.

use crate::bugs::{Bug, code};
use crate::protocols::remake::Remake;
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "haiku-4bb796cf-memory-type",
    id: "G54",
    source: "4bb796cf9da6",
    year: 2024,
    title: "arm64: Fix issues pointed out in post-commit review.",
    kernel: "Haiku",
    arch: "arm64",
    rules: &[4],
    about: "Protect() exchanges a valid entry for one of another memory type; Arm demands that the entry \
            is cleared and flushed in between.",
    ends: "CPU 0 may hold page 0 by entries 1 and 2 at once (SD-4)",
    engine: "seed",
    duty: "who writes an entry breaks it before it is made, and the engine flushes what it is told",
    code: code!["haiku_4bb796cf.rs", "remake.rs"],
    ..Bug::race(Memory::Pso, |variant| Remake::model("make page 0 uncached", variant == Variant::Fixed))
};
