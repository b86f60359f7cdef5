//! A range of kernel pages is flushed on one CPU only, and there by a root load, which keeps global entries.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "maestro-5d98d94b-global-range",
    id: "G18b",
    source: "5d98d94b",
    year: 2025,
    title: "fix: kernelspace TLB shootdown",
    kernel: "Maestro",
    arch: "x86",
    rules: &[8, 14],
    about: "A kernel mapping changes and the other CPUs are not asked to flush; the CPU that changed it reloads its root, \
            which keeps global entries.",
    ends: "CPU 0 can still use kernel page 0 -> frame 1 writable, which was revoked (SD-8)",
    engine: "kernel-history-race",
    ..Bug::race(Memory::Tso, DropMmio::model)
};

const PAGES: usize = 2;
/// Ranges of more pages than this are flushed as a whole.
const THRESHOLD: usize = 1;
const CALL: u64 = 1;
/// Translations: the device's registers at each page, and the memory that is mapped there otherwise.
const REGISTERS: [u64; PAGES] = [1, 2];
const MEMORY: [u64; PAGES] = [3, 4];

/// CPU 0's driver gives back the addresses at which it had its device's registers: they lead to memory again. CPU 1 is
/// in the kernel, and has used the registers too.
#[derive(Debug)]
pub(crate) struct DropMmio {
    variant: Variant,
    machine: Machine,
    calls: CrossCall,
}

impl DropMmio {
    pub(crate) fn model(variant: Variant) -> Model {
        let mut machine = Machine::builder(2).kernel_pages(PAGES);
        for frame in REGISTERS.into_iter().chain(MEMORY) {
            machine = machine.translation(frame as usize, None, true);
        }
        for (page, registers) in REGISTERS.into_iter().enumerate() {
            machine = machine.map_kernel(page, registers);
        }
        machine.runs(|machine| Self { variant, machine, calls: CrossCall::new(2) })
    }

    fn drop_mapping(&self) {
        sync::note("map memory over two pages of registers");
        for (page, memory) in MEMORY.into_iter().enumerate() {
            self.machine.tables.kernel(page).store(memory, Relaxed);
        }
        sync::fence(SeqCst);
        self.invalidate_range();
        if self.variant == Variant::Fixed {
            self.calls.call(0, 0b10, CALL);
        }
        sync::note("give the memory back");
        for registers in REGISTERS {
            hw::revoke(registers);
        }
    }

    /// Flushes on this CPU.
    fn invalidate_range(&self) {
        if self.variant == Variant::Broken && PAGES > THRESHOLD {
            return hw::flush_user();
        }
        for page in 0..PAGES {
            hw::flush_kernel_page(page);
        }
    }
}

impl Program for DropMmio {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.drop_mapping();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| self.invalidate_range());
    }
}
