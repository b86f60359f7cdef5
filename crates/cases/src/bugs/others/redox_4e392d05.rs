//! Copy-on-write gives the old frame back before other CPUs have forgotten it.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "redox-4e392d05-cow-free",
    id: "G3",
    source: "4e392d05",
    year: 2024,
    title: "Delay cow() dealloc until after TLB shootdown.",
    kernel: "Redox",
    arch: "x86",
    rules: &[8],
    about: "Copying a page on write drops the last reference to the old frame at once, before other CPUs have \
            flushed it.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["redox_4e392d05.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let free = if variant == Variant::Broken { Free::BeforeFlush } else { Free::AfterFlush };
    Unmap::model(Policy { cpus: 2, current: 0, change: Change::Copy, reach: Reach::Members, free })
}
