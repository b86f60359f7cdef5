//! munmap of a dirty page drops the lock before it flushes; writeback takes the page to be clean.

use crate::bugs::{Bug, Stage, code};
use crate::protocols::deferred::{Ask, Change, Deferred, Flush, Goal, Pending, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-1cf35d47-dirty-zap",
    id: "D16",
    source: "1cf35d47712d",
    year: 2014,
    title: "mm: split 'tlb_flush_mmu()' into tlb flushing and memory freeing parts",
    rules: &[8],
    about: "A dirty shared page is unmapped and its flush put off; writeback finds no mapping, takes the page to \
            be clean, and a thread writes to it through its TLB: the write is lost.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "nested-gathers",
    code: code!["linux_1cf35d47.rs", "deferred.rs"],
    chain: &[
        Stage::broken(""),
        Stage::wrong(
            "unmapped-first",
            "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
            || model(Flush::BeforeUnlock),
        )
        .by("1cf35d47712d mm: split 'tlb_flush_mmu()' into tlb flushing and memory freeing parts"),
        Stage::FIXED.by("5df397dec7c4 mm: delay page_remove_rmap() until after the TLB has been flushed"),
    ],
    ..Bug::race(Memory::Tso, |variant| {
        model(if variant == Variant::Broken { Flush::AfterUnlock } else { Flush::BeforeUnmapped })
    })
};

fn model(flush: Flush) -> Model {
    Deferred::model(Policy {
        words: ["munmap dirty page 0", "write page 0 back"],
        cpus: 2,
        outsider: false,
        pages: 1,
        change: Change::Clear,
        flush,
        pending: Pending::Untold,
        goal: Goal::Clean,
        ask: Ask::Never,
        relocks: false,
    })
}
