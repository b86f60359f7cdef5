//! A flush is left to the next entry of a CPU that is in the kernel.

use crate::bugs::{Bug, code};
use crate::protocols::deferred_entry::{Defer, DeferredEntry, Entry};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "linux-defer-v3-in-kernel",
    id: "F9",
    source: "RFC v3 11/15 (20241119153502.41361-12-vschneid@redhat.com), posted 2024-11-19; v4 mends it",
    year: 2024,
    title: "context-tracking: Introduce work deferral infrastructure",
    kernel: "Linux (patches, not merged)",
    arch: "x86",
    rules: &[6, 8],
    about: "A kernel flush is to be left to CPUs in user mode alone; the exchange that leaves it succeeds as well \
            on a CPU that is in the kernel, which is then not interrupted.",
    ends: "CPU 1 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-retired",
    code: code!["linux_defer_v3.rs", "deferred_entry.rs"],
    ..Bug::race(Memory::Tso, |variant| DeferredEntry::model(defer(variant), Entry::SystemCall))
};

fn defer(variant: Variant) -> Defer {
    if variant == Variant::Broken { Defer::Always } else { Defer::UnlessKernel }
}
