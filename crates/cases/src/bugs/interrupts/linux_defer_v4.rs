//! A flush is left to the next entry of a CPU that runs an NMI on top of user code.

use crate::bugs::{Bug, code};
use crate::protocols::deferred_entry::{Defer, DeferredEntry, Entry};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "linux-defer-v4-nmi",
    id: "F10",
    source: "v4 24/30 and 29/30 (20250114175143.81438-30-vschneid@redhat.com), posted 2025-01-14; v5 mends it",
    year: 2025,
    title: "x86/mm, mm/vmalloc: Defer flush_tlb_kernel_range() targeting NOHZ_FULL CPUs",
    kernel: "Linux (patches, not merged)",
    arch: "x86",
    rules: &[6, 8],
    about: "A kernel flush is left to CPUs whose context says user mode; an NMI that interrupts user mode runs \
            kernel code and does not change the context.",
    ends: "CPU 1 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-retired",
    code: code!["linux_defer_v4.rs", "deferred_entry.rs"],
    ..Bug::race(Memory::Tso, |variant| DeferredEntry::model(defer(variant), Entry::Nmi))
};

fn defer(variant: Variant) -> Defer {
    if variant == Variant::Broken { Defer::UnlessKernel } else { Defer::UnlessWatching }
}
