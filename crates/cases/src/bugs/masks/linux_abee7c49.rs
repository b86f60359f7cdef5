//! A lazy CPU patches code through a temporary space and goes back to a root that died meanwhile.

use crate::bugs::{Bug, code};
use crate::protocols::last_exit::{Asked, LastExit, Looks, Other, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-abee7c49-x86-text-poke",
    id: "A10",
    source: "abee7c494d8c",
    year: 2020,
    title: "x86/alternative: Don't call text_poke() in lazy TLB mode",
    arch: "x86",
    rules: &[10],
    about: "A lazy CPU saves the root on which it is lazy, patches code through a temporary space, and loads \
            the saved root again; the space exits in between and finds nobody on it.",
    ends: "CPU 1 has the root of space A loaded, which was freed (SD-10)",
    engine: "temporary-vs-exit",
    code: code!["linux_abee7c49.rs", "last_exit.rs"],
    // Exit learns by plain loads of the mask and of the root that the CPU is gone, which orders its last use on x86 alone.
    fixed_under: Memory::Pso,
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let other = if variant == Variant::Broken {
        Other::Patch { leaves_first: false }
    } else {
        Other::Patch { leaves_first: true }
    };
    LastExit::model(Policy { asked: Asked::LeavesIfLazy, looks: Looks::AtMaskAndRoots, other })
}
