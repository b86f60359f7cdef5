//! Migration to device memory clears entries, drops the lock, and flushes; madvise comes in between.

use crate::bugs::{Bug, code};
use crate::protocols::deferred::{Ask, Change, Deferred, Flush, Goal, Pending, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-60bae737-migrate-device",
    id: "D14",
    source: "60bae7370896",
    year: 2022,
    title: "mm/migrate_device.c: flush TLB while holding PTL",
    rules: &[8],
    about: "Migration clears an entry and flushes only after it has dropped the lock; madvise finds nothing \
            there and returns while the page can still be used.",
    ends: "CPU 1 can still use page 0 of space A, which was unmapped (SD-8)",
    engine: "nested-gathers",
    code: code!["linux_60bae737.rs", "deferred.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let flush = if variant == Variant::Broken { Flush::AfterUnlock } else { Flush::BeforeUnlock };
    Deferred::model(Policy {
        words: ["migrate page 0 to a device", "MADV_DONTNEED page 0"],
        cpus: 2,
        outsider: false,
        pages: 1,
        change: Change::Clear,
        flush,
        pending: Pending::Untold,
        goal: Goal::Discard,
        ask: Ask::Never,
        relocks: false,
    })
}
