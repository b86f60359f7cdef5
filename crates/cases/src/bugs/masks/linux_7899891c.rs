//! A CPU is asked to leave a space because it was lazy there; when the request arrives it is lazy no more.

use crate::bugs::{Bug, code};
use crate::protocols::last_exit::{Asked, LastExit, Looks, Other, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-7899891c-xen-leave-mm",
    id: "A8",
    source: "7899891c7d16",
    year: 2011,
    title: "xen mmu: fix a race window causing leave_mm BUG()",
    arch: "x86 (Xen PV)",
    rules: &[3],
    about: "Exit asks a lazy CPU to leave the dying space; the CPU has begun to switch to another one by the \
            time it is asked, leaves as if it were lazy, and runs into a BUG.",
    ends: "CPU 1 must leave a space on which it is not lazy",
    engine: "lazy-vs-final-drop",
    code: code!["linux_7899891c.rs", "last_exit.rs"],
    // Exit learns by plain loads of the mask and of the root that the CPU is gone, which orders its last use on x86 alone.
    fixed_under: Memory::Pso,
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let asked = if variant == Variant::Broken { Asked::Leaves } else { Asked::LeavesIfLazy };
    LastExit::model(Policy { asked, looks: Looks::AtMaskAndRoots, other: Other::Exec })
}
