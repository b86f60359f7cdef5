//! A page flush that leaves global entries behind, while PCIDs are in use.

use crate::bugs::{Bug, Class, Needs};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, Registry, Scenario, sync};
use shootdown_machine::hw;
use shootdown_machine::{Machine, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-ce0b15d1-invlpg-global",
    id: "C13",
    source: "ce0b15d11ad8",
    title: "x86/mm: Avoid incomplete Global INVLPG flushes",
    kernel: "Linux",
    arch: "x86",
    class: Class::Tag,
    rules: &[8],
    needs: Needs::Interleaving,
    cpus: 1,
    memory: Memory::Tso,
    about: "On some processors INVLPG leaves global entries while PCIDs are in use: a freed page of the kernel can \
            still be used.",
    story: include_str!("linux_ce0b15d1.md"),
    ends: "CPU 0 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-memory",
    code: &[("linux_ce0b15d1.rs", include_str!("linux_ce0b15d1.rs"))],
    build: |variant| Box::new(KernelUnmap::new(variant)),
};

/// A CPU with the fault unmaps a page of the kernel's.
#[derive(Debug)]
pub(crate) struct KernelUnmap {
    machine: Machine,
}

impl KernelUnmap {
    pub(crate) fn new(variant: Variant) -> Self {
        // The fault shows only while there are tags.
        let tags = if variant == Variant::Fixed { 1 } else { 4 };
        let machine = Machine::builder(1)
            .tags(tags)
            .sticky_kernel_pages()
            .kernel_pages(1)
            .translation(1, None, true)
            .map_kernel(0, 1)
            .must_free_frame(1)
            .build();
        Self { machine }
    }
}

impl Scenario for KernelUnmap {
    type Device = Machine;

    fn cpus(&self) -> usize {
        1
    }

    fn main(&self, _: usize) {
        sync::note("vfree a kernel page");
        self.machine.tables.kernel(0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_kernel_page(0);
        hw::free_frame(1);
    }

    fn device(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        self.machine.register(registry, &[]);
    }
}
