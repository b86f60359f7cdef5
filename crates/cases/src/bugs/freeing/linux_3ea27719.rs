//! mprotect finds an entry that reclaim has cleared but not flushed yet, and flushes nothing.

use crate::bugs::{Bug, code};
use crate::protocols::deferred::{Ask, Change, Deferred, Flush, Goal, Pending, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-3ea27719-reclaim-mprotect",
    id: "D11",
    source: "3ea277194daa",
    year: 2017,
    title: "mm, mprotect: flush TLB if potentially racing with a parallel reclaim leaving stale TLB entries",
    arch: "generic (x86 batching)",
    rules: &[8],
    about: "Reclaim clears an entry and puts its flush off; mprotect finds the entry empty, flushes nothing, and \
            the thread goes on writing to a page that it may no longer write.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "nested-gathers",
    code: code!["linux_3ea27719.rs", "deferred.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let ask = if variant == Variant::Broken { Ask::Never } else { Ask::AtFirstLock };
    Deferred::model(Policy {
        words: ["reclaim page 0", "mprotect page 0 to read-only"],
        cpus: 2,
        outsider: true,
        pages: 1,
        change: Change::Clear,
        flush: Flush::AfterUnlock,
        pending: Pending::Flag,
        goal: Goal::Protect,
        ask,
        relocks: false,
    })
}
