//! A root load waits in a queue while the CPU already says that it has left the old root.

use crate::bugs::{Bug, code};
use crate::protocols::last_exit::{Asked, LastExit, Looks, Other, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-9f79991d-xen-queued-root",
    id: "A9",
    source: "9f79991d4186",
    year: 2007,
    title: "xen: deal with stale cr3 values when unpinning pagetables",
    arch: "x86 (Xen PV)",
    rules: &[3, 10],
    about: "A CPU clears its bit at a context switch while the request to load the next root still waits in \
            a queue; exit sees nobody on the old root and gives it back.",
    ends: "CPU 1 has the root of space A loaded, which was freed (SD-10)",
    engine: "lazy-vs-final-drop",
    code: code!["linux_9f79991d.rs", "last_exit.rs"],
    // Exit learns by plain loads of the mask and of the root that the CPU is gone, which orders its last use on x86 alone.
    fixed_under: Memory::Pso,
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let looks = if variant == Variant::Broken { Looks::AtMask } else { Looks::AtMaskAndRoots };
    LastExit::model(Policy { asked: Asked::LeavesIfLazy, looks, other: Other::QueuedSwitch })
}
