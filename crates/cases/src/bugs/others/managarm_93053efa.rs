//! The shootdown's handler looks at user spaces only.

use crate::bugs::{Bug, code};
use crate::protocols::kernel_unmap::{KernelUnmap, Reach, TAG};
use shootdown_explore::Memory;
use shootdown_machine::hw::Whose;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "managarm-93053efa-global-binding",
    id: "G36",
    source: "93053efad192",
    year: 2021,
    title: "thor/x86: add missing global binding shootdown on shootdown IPI",
    kernel: "Managarm",
    arch: "x86",
    rules: &[4, 8],
    about: "The handler of the shootdown interrupt goes through the CPU's user bindings and leaves out \
            the one for kernel memory.",
    ends: "CPU 1 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-memory",
    code: code!["managarm_93053efa.rs", "kernel_unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    KernelUnmap::model(if variant == Variant::Broken {
        Reach::Call(Whose::Tag(TAG))
    } else {
        Reach::Call(Whose::Kernel)
    })
}
