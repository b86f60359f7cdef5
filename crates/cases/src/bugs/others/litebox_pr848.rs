//! unmap gives the frames back page by page and flushes in the end.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "litebox-pr848-unmap-free",
    id: "G14",
    source: "litebox PR 848",
    year: 2026,
    title: "Fix potential use-after-unmap due to stale TLB",
    kernel: "LiteBox",
    arch: "x86",
    rules: &[8],
    about: "unmap_pages gives each frame back in its loop over the pages, and flushes all cores only after the loop.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    code: code!["litebox_pr848.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let free = if variant == Variant::Broken { Free::BeforeFlush } else { Free::AfterFlush };
    Unmap::model(Policy { cpus: 2, current: 0, change: Change::Unmap, reach: Reach::Members, free })
}
