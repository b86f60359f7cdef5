//! khugepaged takes pages away without telling the MMU of a virtual machine.

use crate::bugs::{Bug, code};
use crate::protocols::other_mmu::{OtherMmu, Policy, Told, Walks};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-f268f6cf-collapse-notifier",
    id: "D10b",
    source: "f268f6cf875f (CVE-2022-48991)",
    year: 2022,
    title: "mm/khugepaged: invoke MMU notifiers in shmem/file collapse paths",
    arch: "generic (KVM)",
    rules: &[8],
    about: "Collapsing a file's pages unmaps them from the process and flushes its CPUs, but calls no notifier: \
            a virtual machine that maps the same pages goes on using them.",
    ends: "CPU 1 can still use page 0 of space B -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    code: code!["linux_f268f6cf.rs", "other_mmu.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let told = if variant == Variant::Broken { Told::Nothing } else { Told::ClearedAndFlushed };
    OtherMmu::model(Policy { words: "collapse page 0", walks: Walks::ItsOwnTables, told, frees_table: false })
}
