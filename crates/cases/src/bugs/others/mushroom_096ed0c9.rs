//! A thread maps a page between another one's unmapping and the flush that comes with it.

use crate::bugs::{Bug, code};
use crate::protocols::addition::Addition;
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "mushroom-096ed0c9-map-window",
    id: "G25",
    source: "096ed0c9a20b",
    year: 2024,
    title: "fix TLB race condition",
    kernel: "Mushroom",
    arch: "x86",
    rules: &[5, 8],
    about: "Mapping where no page is mapped flushes nothing; a CPU that has yet to serve the flush of the \
            old page uses that one.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "two-flushers",
    code: code!["mushroom_096ed0c9.rs", "addition.rs"],
    ..Bug::race(Memory::Tso, |variant| Addition::model(variant == Variant::Fixed))
};
