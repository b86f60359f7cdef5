//! A kernel address that CPUs use in turn, each for a frame of its own. The CPU that changes the entry flushes itself
//! alone: others may not use the address before they have flushed, too. The cases share this code; kernels differ in
//! whether they do.
//!
//! CPU 0 has used the address for frame 1. CPU 1 puts frame 2 there, under a lock. Then CPU 0 has the lock and needs
//! frame 2.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw;
use shootdown_machine::{Machine, Model, Program};

const OLD: u64 = 1;
const NEW: u64 = 2;

#[derive(Debug)]
pub(crate) struct Slot {
    machine: Machine,
    /// Whether a CPU that finds the entry as it needs it looks at what it used last.
    remembers: bool,
    /// What CPU 0 used last.
    last: Word,
    /// Whether CPU 1 has let go of the lock.
    unlocked: Word,
}

impl Slot {
    pub(crate) fn model(remembers: bool) -> Model {
        let machine = Machine::builder(2)
            .kernel_pages(1)
            .translation(1, None, true)
            .translation(2, None, true)
            .map_kernel(0, OLD);
        machine.runs(|machine| Self {
            machine,
            remembers,
            last: Word::new("cpu0.last", OLD),
            unlocked: Word::new("slot.unlocked", 0),
        })
    }

    fn change(&self) {
        sync::note("put frame 2 there");
        self.machine.tables.kernel(0).store(NEW, Relaxed);
        sync::fence(SeqCst);
        hw::flush_kernel_page(0);
        self.unlocked.store(1, Release);
    }

    fn use_it(&self) {
        sync::wait_until(|| self.unlocked.load(Acquire) != 0);
        sync::note("the entry is right already");
        if self.remembers && self.last.load(Relaxed) != NEW {
            hw::flush_kernel_page(0);
        }
        self.last.store(NEW, Relaxed);
        sync::note("use the address: it must lead to frame 2");
        hw::revoke(OLD);
    }
}

impl Program for Slot {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.use_it() } else { self.change() }
    }
}
