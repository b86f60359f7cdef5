//! A barrier that shall have all CPUs fetch code again relies on interrupts for it.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "linux-758c9373-membarrier-sync",
    id: "F13",
    source: "758c9373d841",
    year: 2020,
    title: "membarrier: Explicitly sync remote cores when SYNC_CORE is requested",
    arch: "x86",
    rules: &[6, 8],
    about: "membarrier sends IPIs and takes the return from them for serializing; the interrupt may end in \
            another thread of the process, which goes back by SYSRET.",
    ends: "CPU 1 may run version 1 of code 0, and not 2 (SD-8)",
    engine: "borrow-vs-unmap",
    ..Bug::race(Memory::Tso, Membarrier::model)
};

const OLD: u64 = 1;
const NEW: u64 = 2;
const CPU: usize = 1;
const BARRIER: u64 = 1;

/// CPU 0 writes code for its process, calls membarrier, and says where the code is. CPU 1 runs threads of the process.
#[derive(Debug)]
pub(crate) struct Membarrier {
    variant: Variant,
    machine: Machine,
    published: Word,
    calls: CrossCall,
}

impl Membarrier {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).code(OLD);
        machine.runs(|machine| Self {
            variant,
            machine,
            published: Word::new("jit.published", 0),
            calls: CrossCall::new(2),
        })
    }

    fn compile(&self) {
        sync::note("write code");
        self.machine.tables.code(0).swap(NEW, AcqRel);
        sync::note("membarrier");
        self.calls.call(0, 1 << CPU, BARRIER);
        self.published.store(1, Release);
    }

    fn run(&self) {
        sync::note("run what is published");
        if self.published.load(Acquire) == 1 {
            hw::execute(0, NEW);
        }
    }

    /// The handler of membarrier's IPI, up to its return to user code.
    fn barrier(&self) {
        if self.variant == Variant::Fixed {
            hw::synchronise_context();
        }
    }

    /// An interrupt returns to what it interrupted by IRET, or to a thread that slept in a system call by SYSRET.
    fn back_to_user(&self) {
        if sync::choose(2) == 0 {
            sync::note("IRET");
            hw::synchronise_context();
        } else {
            sync::note("switch to another thread, SYSRET");
        }
    }
}

impl Program for Membarrier {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.compile() } else { self.run() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (CPU, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| self.barrier());
        self.back_to_user();
    }
}
