//! A page flush that leaves global entries behind, while PCIDs are in use.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "linux-ce0b15d1-invlpg-global",
    id: "C13",
    source: "ce0b15d11ad8",
    year: 2023,
    title: "x86/mm: Avoid incomplete Global INVLPG flushes",
    arch: "x86",
    rules: &[8],
    about: "On some processors INVLPG leaves global entries while PCIDs are in use: a freed page of the kernel can \
            still be used.",
    ends: "CPU 0 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-gather",
    ..Bug::race(Memory::Tso, KernelUnmap::model)
};

/// A CPU with the fault unmaps a page of the kernel's.
#[derive(Debug)]
pub(crate) struct KernelUnmap {
    machine: Machine,
}

impl KernelUnmap {
    pub(crate) fn model(variant: Variant) -> Model {
        // The fault shows only while there are tags.
        let tags = if variant == Variant::Fixed { 1 } else { 4 };
        let machine = Machine::builder(1)
            .tags(tags)
            .sticky_kernel_pages()
            .kernel_pages(1)
            .translation(1, None, true)
            .map_kernel(0, 1)
            .must_free_frame(1);
        machine.runs(|machine| Self { machine })
    }
}

impl Program for KernelUnmap {
    fn main(&self, _: usize) {
        sync::note("vfree a kernel page");
        self.machine.tables.kernel(0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_kernel_page(0);
        hw::free_frame(1);
    }
}
