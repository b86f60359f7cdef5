//! A slot for physical pages is flushed on one CPU, and used on all.

use crate::bugs::{Bug, code};
use crate::protocols::kernel_unmap::{KernelUnmap, Reach};
use shootdown_explore::Memory;
use shootdown_machine::hw::Whose;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "haiku-186c8af1-mapper-slot",
    id: "G32",
    source: "186c8af1e4f0",
    year: 2008,
    title: "The large page mapper did not invalidate the TLBs of the other CPUs for the generic page mapping mechanism.",
    kernel: "Haiku",
    arch: "x86",
    rules: &[4, 8],
    about: "A kernel address through which physical pages are reached gets a new page, and only the CPU \
            that changes the entry flushes.",
    ends: "CPU 1 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-memory",
    code: code!["haiku_186c8af1.rs", "kernel_unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    KernelUnmap::model(if variant == Variant::Broken { Reach::Here } else { Reach::Call(Whose::Kernel) })
}
