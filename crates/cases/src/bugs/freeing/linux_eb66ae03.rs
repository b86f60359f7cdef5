//! mremap moves an entry and flushes the old address only after it has dropped the page-table locks.

use crate::bugs::{Bug, code};
use crate::protocols::moved_page::{Flush, MovedPage, Policy, User};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-eb66ae03-mremap-flush",
    id: "D1",
    source: "eb66ae030829 (CVE-2018-18281)",
    year: 2018,
    title: "mremap: properly flush TLB before releasing the page",
    rules: &[8],
    about: "mremap moves a page-table entry and drops its locks before it flushes the old address; truncation \
            finds the page at the new address, flushes only that, and frees it.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    code: code!["linux_eb66ae03.rs", "moved_page.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let flush = if variant == Variant::Broken { Flush::AfterUnlock } else { Flush::BeforeUnlock };
    MovedPage::model(Policy {
        words: ["mremap page 0 to page 2", "truncate the file"],
        flush,
        user: User::Threads,
    })
}
