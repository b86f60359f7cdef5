//! A table page of the second level goes back to its pool while the flush of it is still deferred.

use crate::bugs::{Bug, Stage, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa480-deferred-flush",
    id: "D31",
    source: "4bc2e5333abb, XSA-480 (CVE-2026-23554)",
    year: 2026,
    title: "x86/p2m: issue a sync flush before freeing paging pages",
    kernel: "Xen",
    arch: "x86 (EPT)",
    rules: &[7],
    about: "Xen defers the flush of a guest's second-level tables to the end of an operation, and gives a \
            table page back to its pool before that.",
    ends: "CPU 1 can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    argued: &[(
        "unmap.rs: flush page 0",
        "the routine flushes the CPU that it runs on, too, which holds nothing of the space here",
    )],
    code: code!["xen_xsa480.rs", "unmap.rs"],
    chain: &[
        Stage::right("flushes-first", || model(Variant::Fixed)),
        Stage::broken("4a59e6bb3a96 x86/EPT: squash meaningless TLB flush"),
        Stage::FIXED,
    ],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let free = if variant == Variant::Broken { Free::BeforeFlush } else { Free::AfterFlush };
    Unmap::model(Policy { cpus: 2, current: 1, change: Change::Table, reach: Reach::Members, free })
}
