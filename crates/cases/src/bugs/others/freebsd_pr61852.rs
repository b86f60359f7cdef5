//! Write protection reads and stores an entry, and hardware marks it in between.

use crate::bugs::{Bug, code};
use crate::protocols::dirty_mark::{DirtyMark, Protect};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "freebsd-pr61852-modified-bit",
    id: "G52",
    source: "PR 61852",
    title: "pmap_protect(): loss of a page modified (PG_M) bit in a race between processors",
    kernel: "FreeBSD",
    arch: "x86",
    rules: &[8],
    about: "pmap_protect reads an entry, and stores it without the right to write; a mark that hardware \
            sets in between is overwritten.",
    ends: "CPU 0 discards frame 1, which was written (SD-8)",
    engine: "borrow-vs-unmap",
    duty: "who changes an entry keeps its dirty mark, and the engine never looks into one",
    code: code!["freebsd_pr61852.rs", "dirty_mark.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    DirtyMark::model(2, if variant == Variant::Broken { Protect::LoadAndStore } else { Protect::Exchange })
}
