//! A flag that says "a flush is due" is cleared after a flush that did not cover all that it stood for.

use crate::bugs::{Bug, Stage, code};
use crate::protocols::deferred::{Ask, Change, Deferred, Flush, Goal, Pending, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-5ee2fa2f-batch-flag",
    id: "D12",
    source: "5ee2fa2f0636",
    year: 2022,
    title: "mm/rmap: fix potential batched TLB flush race",
    arch: "generic (x86 batching)",
    rules: &[6, 8],
    about: "A flush clears the flag that another CPU has set again meanwhile for a page under another lock; that \
            page's flush is then believed done.",
    ends: "CPU 1 can still use page 1 of space A, which was unmapped (SD-8)",
    engine: "nested-gathers",
    code: code!["linux_5ee2fa2f.rs", "deferred.rs"],
    chain: &[
        Stage::wrong("untold", "CPU 1 can still use page 0 of space A, which was unmapped (SD-8)", || {
            model(Pending::Untold, Ask::Never)
        }),
        Stage::broken(
            "3ea277194daa mm, mprotect: flush TLB if potentially racing with a parallel reclaim leaving stale TLB entries",
        ),
        Stage::FIXED,
    ],
    ..Bug::race(Memory::Tso, |variant| {
        let pending = if variant == Variant::Broken { Pending::Flag } else { Pending::Generation };
        model(pending, Ask::AtFirstLock)
    })
};

fn model(pending: Pending, ask: Ask) -> Model {
    Deferred::model(Policy {
        words: ["reclaim pages 0 and 1", "discard pages 0 and 1"],
        cpus: 2,
        outsider: true,
        pages: 2,
        change: Change::Clear,
        flush: Flush::AfterUnlock,
        pending,
        goal: Goal::Discard,
        ask,
        relocks: false,
    })
}
