//! A profiler's interrupt samples the user stack of a task whose mappings are being torn down.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-4f6fc782-perf-sample-exit",
    id: "E12",
    source: "4f6fc7821283 (CVE-2025-38424)",
    year: 2025,
    title: "perf: Fix sample vs do_exit()",
    rules: &[10],
    about: "A profiling interrupt that cannot be masked copies from the user stack of an exiting task, through tables that the task \
            is tearing down.",
    ends: "CPU 0 is in user mode in space A, whose mappings are dead (SD-10)",
    engine: "temporary-vs-exit",
    ..Bug::race(Memory::Tso, Sampled::model)
};

/// CPU 0 runs the last thread of the space, which exits; a profiling interrupt may come at any time, once.
#[derive(Debug)]
struct Sampled {
    variant: Variant,
    machine: Machine,
    task: Task,
}

#[derive(Debug)]
struct Task {
    mm: Word,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const SAMPLE: u8 = 0;

impl Sampled {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, false)
            .must_free_frame(1)
            .must_free_table(1)
            .must_free_root(SPACE);
        machine.runs(|machine| Self { variant, machine, task: Task { mm: Word::new("task.mm", 1) } })
    }

    fn exit(&self) {
        sync::note("exit: give the space up");
        self.task.mm.store(0, Relaxed);
        sync::note("tear down");
        hw::teardown(SPACE);
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        self.machine.tables.root(SPACE, 0).store(0, Relaxed);
        hw::broadcast(Whose::Space(SPACE), Which::All);
        hw::free_frame(1);
        hw::free_table(1);
        sync::note("switch away");
        hw::install(None, TAG, Install::FlushTag);
        hw::free_root(SPACE);
    }

    fn sample(&self) {
        match self.variant {
            Variant::Broken => self.copy_stack(),
            _ => {
                if self.task.mm.load(Relaxed) != 0 {
                    self.copy_stack();
                }
            }
        }
    }

    /// Reads user memory through the loaded root; without one the copy faults and ends.
    fn copy_stack(&self) {
        hw::user(true);
        hw::user(false);
    }
}

impl Program for Sampled {
    fn main(&self, _cpu: usize) {
        self.exit();
    }

    fn pending_at_start(&self, _cpu: usize) -> u32 {
        1 << SAMPLE
    }

    fn non_maskable(&self) -> u32 {
        1 << SAMPLE
    }

    fn interrupt(&self, _cpu: usize, _line: u8) {
        self.sample();
    }
}
