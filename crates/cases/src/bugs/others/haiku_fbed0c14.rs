//! Unmapping a guest's memory clears the second-level entry and leaves the virtual CPUs' TLBs alone.

use crate::bugs::{Bug, code};
use crate::protocols::other_mmu::{OtherMmu, Policy, Told, Walks};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "haiku-fbed0c14-nested-paging",
    id: "G31",
    source: "fbed0c14245f",
    year: 2026,
    title: "nvmm & kernel: Implement proper TLB flushing for the nested paging.",
    kernel: "Haiku",
    arch: "x86 (EPT, NPT)",
    rules: &[8],
    about: "Haiku's hypervisor keeps second-level tables as one more kind of translation map, whose flush \
            told no virtual CPU anything.",
    ends: "CPU 1 can still use page 0 of space B -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["haiku_fbed0c14.rs", "other_mmu.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let told = if variant == Variant::Broken { Told::Cleared } else { Told::ClearedAndFlushed };
    OtherMmu::model(Policy { words: "unmap page 0", walks: Walks::ItsOwnTables, told, frees_table: false })
}
