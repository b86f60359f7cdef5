//! A CPU wakes up in the middle of a flush that has taken it for asleep.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw;
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "mushroom-8d006f6b-lazy-pending",
    id: "G23",
    source: "8d006f6b79ac",
    year: 2025,
    title: "fix race condition in TLB flushing code",
    kernel: "Mushroom",
    arch: "x86",
    rules: &[4, 5, 8],
    about: "A flush of kernel memory leaves a note for CPUs that sleep; one that wakes between the look \
            at who sleeps and the note finds nothing and goes on.",
    ends: "CPU 1 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-memory",
    // Both looks at the set of active CPUs rest on locked instructions, which are full barriers there and nowhere else.
    fixed_under: Memory::Pso,
    ..Bug::race(Memory::Tso, Sleeper::model)
};

const FLUSH: u8 = 0;
const CPU1: u64 = 0b10;

/// CPU 0 takes a kernel page away. CPU 1 goes to sleep and wakes up.
#[derive(Debug)]
pub(crate) struct Sleeper {
    variant: Variant,
    machine: Machine,
    /// CPUs that are awake, as bits.
    active: Word,
    /// CPUs that were interrupted and have not answered.
    pending: Word,
    /// CPUs that have to flush when they wake up.
    lazy: Word,
}

impl Sleeper {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .kernel_pages(1)
            .translation(1, None, true)
            .map_kernel(0, 1)
            .must_free_frame(1);
        let [active, pending, lazy] = [("flush.active", 0b11), ("flush.pending", 0), ("flush.lazy", 0)]
            .map(|(name, bits)| Word::new(name, bits));
        machine.runs(|machine| Self { variant, machine, active, pending, lazy })
    }

    fn unmap(&self) {
        sync::note("take kernel page 0 away");
        self.machine.tables.kernel(0).store(0, Relaxed);
        sync::fence(SeqCst);
        let mut active = self.active.load(Acquire);
        self.lazy.fetch_or(!active & CPU1, AcqRel);
        if self.variant == Variant::Fixed {
            active |= self.active.load(Acquire);
        }
        if active & CPU1 != 0 {
            self.pending.fetch_or(CPU1, AcqRel);
            sync::raise(1, FLUSH);
        }
        hw::flush_kernel_page(0);
        sync::wait_until(|| self.pending.load(Acquire) == 0);
        hw::free_frame(1);
    }

    fn sleep_and_wake(&self) {
        // From here on it touches nothing that can be unmapped.
        hw::running(false);
        self.active.fetch_and(!CPU1, AcqRel);
        sync::note("wake up");
        self.active.fetch_or(CPU1, AcqRel);
        self.serve();
        hw::running(true);
    }

    fn serve(&self) {
        for word in [&self.pending, &self.lazy] {
            if word.load(Acquire) & CPU1 != 0 {
                hw::flush_kernel_page(0);
                word.fetch_and(!CPU1, AcqRel);
            }
        }
    }
}

impl Program for Sleeper {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.sleep_and_wake() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, FLUSH), "only CPU 0 asks");
        self.serve();
    }
}
