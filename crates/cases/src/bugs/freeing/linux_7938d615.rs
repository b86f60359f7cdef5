//! The graphics card's TLB is never flushed when an object's pages are given back.

use crate::bugs::{Bug, code};
use crate::protocols::other_mmu::{OtherMmu, Policy, Told, Walks};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-7938d615-i915-tlb",
    id: "D25",
    source: "7938d61591d3 (CVE-2022-0330)",
    year: 2022,
    title: "drm/i915: Flush TLBs before releasing backing store",
    arch: "Intel GPUs",
    rules: &[8],
    about: "The driver clears the card's page-table entries and returns the pages to the system, but never \
            flushes the card's TLB.",
    ends: "CPU 1 can still use page 0 of space B -> frame 1, which was freed (SD-8)",
    engine: "kernel-gather",
    code: code!["linux_7938d615.rs", "other_mmu.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let told = if variant == Variant::Broken { Told::Cleared } else { Told::ClearedAndFlushed };
    OtherMmu::model(Policy {
        words: "give the object's pages back",
        walks: Walks::ItsOwnTables,
        told,
        frees_table: false,
    })
}
