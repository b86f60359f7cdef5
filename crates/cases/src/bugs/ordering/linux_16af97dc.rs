//! Two changes of protection share one flag; the first to finish clears it for both.

use crate::bugs::{Bug, Stage, code};
use crate::protocols::flush_pending::{FlushPending, Pending, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-16af97dc-shared-flag",
    id: "B7",
    source: "16af97dc5a89",
    year: 2017,
    title: "mm: migrate: prevent racy access to tlb_flush_pending",
    rules: &[4, 8, 14],
    about: "Two threads change protection at once and share a flag, flush pending; the one that finishes \
            first clears it, and migration believes that the other has flushed, too.",
    ends: "CPU 2 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "nested-gathers",
    code: code!["linux_16af97dc.rs", "flush_pending.rs"],
    chain: &[
        Stage::wrong(
            "unsaid",
            "CPU 2 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
            || model(Pending::Unsaid),
        ),
        Stage::broken("20841405940e mm: fix TLB flush race between migration, and change_protection_range"),
        Stage::FIXED,
    ],
    ..Bug::race(Memory::Tso, |variant| {
        model(if variant == Variant::Broken { Pending::Flag } else { Pending::Count })
    })
};

fn model(pending: Pending) -> Model {
    FlushPending::model(Policy { pending, two_changes: true })
}
