//! A page is mapped anew where none is mapped now, by a CPU that has not been told yet that the old one is gone.

use crate::bugs::{Bug, code};
use crate::protocols::addition::Addition;
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "nanos-pr1418-page-addition",
    id: "G21",
    source: "nanos PR 1418",
    year: 2021,
    title: "Always invalidate pages on pagetable additions",
    kernel: "Nanos",
    arch: "x86",
    rules: &[5, 8],
    about: "Mapping where no page is mapped flushes nothing; a CPU that has yet to serve the shootdown of the old \
            page uses that one.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "two-flushers",
    code: code!["nanos_pr1418.rs", "addition.rs"],
    ..Bug::race(Memory::Tso, |variant| Addition::model(variant == Variant::Fixed))
};
