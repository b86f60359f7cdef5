//! A deferred flush keeps pointers to spaces that nobody counts.

use crate::bugs::{Bug, code};
use crate::protocols::outsider::{Hold, Look, Outsider, Permit, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "fiasco-c318d6f1-flush-list",
    id: "G34",
    source: "c318d6f16b52",
    year: 2023,
    title: "map_util: Fix use-after-free in Auto_tlb_flush during map/unmap",
    kernel: "L4Re Fiasco",
    arch: "generic",
    rules: &[10],
    about: "A list of spaces that are to be flushed later holds bare pointers; a space may be deleted \
            before its turn comes.",
    ends: "use of mm.context after its memory was given back",
    engine: "lazy-vs-final-drop",
    code: code!["fiasco_c318d6f1.rs", "outsider.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let hold = if variant == Variant::Broken { Hold::Pointer } else { Hold::Structure };
    Outsider::model(Policy {
        name: "flush the spaces in the list",
        hold,
        permit: Permit::Nothing,
        look: Look::Structure,
        exit_locks: true,
        exit_resets: false,
    })
}
