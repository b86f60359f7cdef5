//! The flush that is due is asked for when the lock is first taken, not when it is taken again.

use crate::bugs::{Bug, Stage, code};
use crate::protocols::deferred::{Ask, Change, Deferred, Flush, Goal, Pending, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-383c4613-madvise-relock",
    id: "D13",
    source: "383c4613c67c",
    year: 2025,
    title: "mm: close theoretical race where stale TLB entries could linger",
    arch: "generic (x86, arm64 and riscv batching)",
    rules: &[15],
    about: "MADV_FREE asks for a pending flush when it takes the page-table lock, then drops the lock to split a \
            large page and takes it again without asking; reclaim comes in between.",
    ends: "CPU 1 can still use page 0 of space A, which was unmapped (SD-8)",
    engine: "nested-gathers",
    code: code!["linux_383c4613.rs", "deferred.rs"],
    chain: &[
        Stage::wrong(
            "never-asks",
            "CPU 1 can still use page 0 of space A, which was unmapped (SD-8)",
            || model(Ask::Never),
        ),
        Stage::broken(
            "3ea277194daa mm, mprotect: flush TLB if potentially racing with a parallel reclaim leaving stale TLB entries",
        ),
        Stage::FIXED,
    ],
    ..Bug::race(Memory::Tso, |variant| {
        model(if variant == Variant::Broken { Ask::AtFirstLock } else { Ask::AtEveryLock })
    })
};

fn model(ask: Ask) -> Model {
    Deferred::model(Policy {
        words: ["reclaim page 0", "MADV_FREE page 0"],
        cpus: 2,
        outsider: true,
        pages: 1,
        change: Change::Clear,
        flush: Flush::AfterUnlock,
        pending: Pending::Generation,
        goal: Goal::GiveUp,
        ask,
        relocks: true,
    })
}
