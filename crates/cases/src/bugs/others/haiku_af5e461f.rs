//! Kernel pages are flushed under an ASID, though they have none.

use crate::bugs::{Bug, code};
use crate::protocols::kernel_unmap::{KernelUnmap, Reach, TAG};
use shootdown_explore::Memory;
use shootdown_machine::hw::Whose;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "haiku-af5e461f-kernel-asid",
    id: "G29",
    source: "af5e461fb165",
    year: 2024,
    title: "arm64: Fix TLB flushing of the kernel address space.",
    kernel: "Haiku",
    arch: "arm64",
    rules: &[4, 8],
    about: "Kernel pages are flushed by ASID 0, which was reserved for the kernel; they are global and \
            belong to no ASID, so the flush drops nothing.",
    ends: "CPU 0 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-memory",
    code: code!["haiku_af5e461f.rs", "kernel_unmap.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    KernelUnmap::model(if variant == Variant::Broken {
        Reach::Broadcast(Whose::Tag(TAG))
    } else {
        Reach::Broadcast(Whose::Kernel)
    })
}
