//! An emulator's fence drops one piece of a leaf that it has cached in many.

use crate::bugs::{Bug, code};
use crate::protocols::large_leaf::{Drops, LargeLeaf};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "nemu-pr1175-superpage-fence",
    id: "G43",
    source: "PR 1175",
    year: 2026,
    title: "fix(riscv64): invalidate HostTLB entries for superpage fences",
    kernel: "NEMU",
    arch: "riscv64",
    rules: &[8],
    about: "The emulator caches a 2 MiB leaf as many 4 KiB entries; a guest's fence for one address of \
            the leaf drops one of them.",
    ends: "CPU 0 can still use page 1 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["nemu_pr1175.rs", "large_leaf.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    LargeLeaf::model(1, if variant == Variant::Broken { Drops::TheNamed } else { Drops::TheLeaf })
}
