//! Code that a CPU runs on its way into the kernel is patched, and the CPU is left to catch up behind it.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Privilege, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "linux-defer-v4-module-text",
    id: "F12",
    source: "v4 25/30 (20250114175143.81438-26-vschneid@redhat.com), posted 2025-01-14, and the review of the same \
             day; v5 mends it",
    year: 2025,
    title: "context_tracking,x86: Defer kernel text patching IPIs",
    kernel: "Linux (patches, not merged)",
    arch: "x86",
    rules: &[6, 8],
    about: "CPUs outside the kernel catch up with patched code at their next entry; entry code itself is excepted, \
            but not that of modules, and KVM may be one.",
    ends: "CPU 1 can still run version 1 of code 0, which is obsolete (SD-8)",
    engine: "kernel-retired",
    ..Bug::race(Memory::Tso, Patch::model)
};

const OLD: u64 = 1;
const NEW: u64 = 2;
/// The code between the exit from a guest and the kernel, in KVM's module.
const EXIT_PATH: usize = 0;
const CPU: usize = 1;
const SYNC: u64 = 1;
/// Bits of the context word.
const KERNEL: u64 = 1;
const WORK: u64 = 2;

/// CPU 0 flips a static key in the exit path. CPU 1 runs a guest, comes back for a moment, and runs it again.
#[derive(Debug)]
pub(crate) struct Patch {
    variant: Variant,
    machine: Machine,
    /// Context of CPU 1.
    context: Word,
    calls: CrossCall,
}

impl Patch {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).code(OLD).entry_code(EXIT_PATH).user_code(CPU);
        machine.runs(|machine| Self {
            variant,
            machine,
            context: Word::new("cpu1.context", 0),
            calls: CrossCall::new(2),
        })
    }

    fn patch(&self) {
        sync::note("flip a static key");
        self.machine.tables.code(EXIT_PATH).swap(NEW, AcqRel);
        hw::synchronise_context();
        // The address is in no section of the kernel's own that is excepted. The mended version asks modules, too.
        let may_defer = self.variant == Variant::Broken;
        if !(may_defer && self.leaves_work()) {
            self.calls.call(0, 1 << CPU, SYNC);
        }
        hw::obsolete(EXIT_PATH, OLD);
    }

    /// Leaves the work to CPU 1 unless it is in the kernel; answers whether that was possible.
    fn leaves_work(&self) -> bool {
        self.context.compare_exchange(0, WORK, AcqRel, Relaxed).is_ok()
    }

    fn enter(&self) {
        if self.context.fetch_or(KERNEL, AcqRel) & WORK != 0 {
            hw::synchronise_context();
        }
        hw::privilege(Privilege::Kernel);
    }

    fn exit(&self) {
        hw::privilege(Privilege::User);
        self.context.fetch_and(!(KERNEL | WORK), AcqRel);
    }
}

impl Program for Patch {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.patch();
        } else {
            sync::note("leave the guest");
            self.enter();
            self.exit();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (CPU, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::synchronise_context());
    }
}
