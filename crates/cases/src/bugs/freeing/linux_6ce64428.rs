//! A write fault copies a page that userfaultfd has write-protected but not flushed yet.

use crate::bugs::{Bug, code};
use crate::protocols::deferred::{Ask, Change, Deferred, Flush, Goal, Pending, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-6ce64428-uffd-copy",
    id: "D17",
    source: "6ce64428d620",
    year: 2021,
    title: "mm/userfaultfd: fix memory corruption due to writeprotect",
    rules: &[8],
    about: "userfaultfd takes the right to write to a page and flushes later; a fault copies the page meanwhile, and what a \
            third thread writes to the original in between is lost.",
    ends: "CPU 2 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "two-flushers",
    code: code!["linux_6ce64428.rs", "deferred.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let ask = if variant == Variant::Broken { Ask::Never } else { Ask::AtFirstLock };
    Deferred::model(Policy {
        words: ["userfaultfd unprotects page 0", "write fault on page 0"],
        cpus: 3,
        outsider: false,
        pages: 1,
        change: Change::Protect,
        flush: Flush::AfterUnlock,
        pending: Pending::Count,
        goal: Goal::Copy,
        ask,
        relocks: false,
    })
}
