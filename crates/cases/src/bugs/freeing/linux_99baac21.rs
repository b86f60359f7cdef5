//! Two calls gather the same page; the one that finds the entry gone ends without a flush.

use crate::bugs::{Bug, code};
use crate::protocols::deferred::{Ask, Change, Deferred, Flush, Goal, Pending, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-99baac21-nested-madvise",
    id: "D15",
    source: "99baac21e458",
    year: 2017,
    title: "mm: fix MADV_[FREE|DONTNEED] TLB flush miss problem",
    rules: &[15],
    about: "Two threads discard one page at once; one clears the entry and will flush, the other finds it \
            cleared, has nothing to flush, and returns first.",
    ends: "CPU 1 can still use page 0 of space A, which was unmapped (SD-8)",
    engine: "nested-gathers",
    code: code!["linux_99baac21.rs", "deferred.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let ask = if variant == Variant::Broken { Ask::Never } else { Ask::AtTheEnd };
    Deferred::model(Policy {
        words: ["MADV_DONTNEED page 0", "MADV_DONTNEED page 0 as well"],
        cpus: 2,
        outsider: false,
        pages: 1,
        change: Change::Clear,
        flush: Flush::AfterUnlock,
        pending: Pending::Count,
        goal: Goal::Discard,
        ask,
        relocks: false,
    })
}
