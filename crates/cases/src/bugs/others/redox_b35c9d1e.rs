//! Memory in one physical piece is freed ahead of the flush that ordinary memory waits for.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "redox-b35c9d1e-contiguous",
    id: "G27",
    source: "b35c9d1e6263",
    year: 2024,
    title: "Properly free phys-contiguous grants, TLB-delayed.",
    kernel: "Redox",
    arch: "x86",
    rules: &[8],
    about: "Memory that was granted as one physical range goes back to the allocator first; the flush of \
            other CPUs comes afterwards.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["redox_b35c9d1e.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let free = if variant == Variant::Broken { Free::BeforeFlush } else { Free::AfterFlush };
    Unmap::model(Policy { cpus: 2, current: 0, change: Change::Unmap, reach: Reach::Members, free })
}
