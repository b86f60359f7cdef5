//! Migration trusts an entry that denies access, whose flush is still to come.

use crate::bugs::{Bug, code};
use crate::protocols::flush_pending::{FlushPending, Pending, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-20841405-migrate-protnone",
    id: "B8",
    source: "20841405940e",
    year: 2013,
    title: "mm: fix TLB flush race between migration, and change_protection_range",
    arch: "x86",
    rules: &[4, 8],
    about: "Protection is changed page by page and flushed at the end; migration finds an entry that denies \
            access, flushes nothing, and frees the page under a CPU that still writes to it.",
    ends: "CPU 2 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "nested-gathers",
    code: code!["linux_20841405.rs", "flush_pending.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let pending = if variant == Variant::Broken { Pending::Unsaid } else { Pending::Flag };
    FlushPending::model(Policy { pending, two_changes: false })
}
