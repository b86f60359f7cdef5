//! Write protection clears the only mark that says that a page was written.

use crate::bugs::{Bug, code};
use crate::protocols::dirty_mark::{DirtyMark, Protect};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-018e9828-wrprotect-dirty",
    id: "D36",
    source: "018e9828eb52 (CVE-2026-72043)",
    year: 2026,
    title: "LoongArch: Fix missing dirty page tracking in {pte,pmd}_wrprotect()",
    arch: "loongarch64",
    rules: &[8],
    about: "Hardware marks a page dirty in one bit and software in another; write protection clears the \
            first, and reclaim takes the page for clean.",
    ends: "CPU 0 discards frame 1, which was written (SD-8)",
    engine: "borrow-vs-unmap",
    duty: "who changes an entry keeps its dirty mark, and the engine never looks into one",
    argued: &[(
        "discard frame 1",
        "with the mark kept, reclaim takes the page for written and does not discard it",
    )],
    code: code!["linux_018e9828.rs", "dirty_mark.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    DirtyMark::model(1, if variant == Variant::Broken { Protect::Forgets } else { Protect::LoadAndStore })
}
