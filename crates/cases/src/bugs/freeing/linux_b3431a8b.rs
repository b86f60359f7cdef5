//! A flush that waits for other CPUs is used where interrupts are off; two CPUs wait for each other.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "linux-b3431a8b-kfence-irqs-off",
    id: "D29",
    source: "b3431a8bb336 (CVE-2024-53687)",
    year: 2024,
    title: "riscv: Fix IPIs usage in kfence_protect_page()",
    arch: "riscv64",
    rules: &[11],
    about: "An allocator's checker changes a kernel mapping with interrupts off and flushes by a call that waits \
            for all CPUs; two CPUs that do so wait for each other.",
    ends: "no CPU can go on: CPU 0 waits for calls.to1 to change from 0x1; CPU 1 waits for calls.to0 to change \
            from 0x1",
    engine: "masked-flushers",
    ..Bug::race(Memory::Pso, Protect::model)
};

const CALL: u8 = 0;
const WRITABLE: u64 = 1;
const ABSENT: u64 = 0;

/// CPU 0 and CPU 1 each allocate, with interrupts off, from a pool that marks pages absent when they are freed. Each
/// has a page of its own there.
#[derive(Debug)]
pub(crate) struct Protect {
    variant: Variant,
    machine: Machine,
    /// Calls to each CPU: nonzero while they are not answered.
    calls: [Word; 2],
}

impl Protect {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .kernel_pages(2)
            .translation(1, None, true)
            .translation(2, None, true)
            .map_kernel(0, WRITABLE)
            .map_kernel(1, WRITABLE + 1);
        machine.runs(|machine| Self {
            variant,
            machine,
            calls: [Word::new("calls.to0", 0), Word::new("calls.to1", 0)],
        })
    }

    fn free_object(&self, cpu: usize) {
        sync::note("free an object, interrupts off");
        let on = sync::irq_save();
        self.machine.tables.kernel(cpu).store(ABSENT, Relaxed);
        sync::fence(SeqCst);
        hw::flush_kernel_page(cpu);
        if self.variant == Variant::Broken {
            self.call(1 - cpu);
        }
        sync::irq_restore(on);
    }

    fn call(&self, other: usize) {
        self.calls[other].swap(1, AcqRel);
        sync::raise(other, CALL);
        sync::wait_until(|| self.calls[other].load(Acquire) == 0);
    }
}

impl Program for Protect {
    fn main(&self, cpu: usize) {
        self.free_object(cpu);
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CALL, "there is no other line");
        if self.calls[cpu].load(Acquire) != 0 {
            hw::flush_kernel_page(1 - cpu);
            self.calls[cpu].store(0, Release);
        }
    }
}
