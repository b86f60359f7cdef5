//! A space gets a new context number and keeps the CPU mask of its old one, so the first use of the new one flushes
//! nothing.

use crate::bugs::Bug;
use crate::protocols::{Lock, Mm};
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-58897485-wrap-mask",
    id: "C2b",
    source: "588974857359",
    year: 2017,
    title: "sparc64: reset mm cpumask after wrap",
    arch: "sparc64",
    rules: &[12],
    about: "A space with a new context number keeps the mask of the old one; a set bit suppresses the flush at first \
            use, and old entries are hit.",
    ends: "CPU 1, in space A, can use page 0 -> frame 2 of space B (SD-12)",
    engine: "contexts-rollover",
    ..Bug::race(Memory::Tso, FirstUse::model)
};

const A: usize = 0;
const B: usize = 1;
const NEW: u8 = 2;

/// A wrap has taken place and space A has no valid number. CPU 1 ran A before the wrap, and later B, with number 2. Now
/// a thread of A is scheduled on CPU 0, then one on CPU 1.
#[derive(Debug)]
pub(crate) struct FirstUse {
    variant: Variant,
    mm: Mm,
    /// Protects the context of A.
    lock: Lock,
    /// A's number; 0 while it has none of this version.
    number: Word,
}

impl FirstUse {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine =
            Machine::builder(2).spaces(2, 1).tags(3).own_page(A, 0, 1).own_page(B, 0, 2).cached(1, NEW, 0, 2);
        machine.runs(|_| Self {
            variant,
            mm: Mm::new(2, 1, 0b10),
            lock: Lock::new("mm.context_lock.held"),
            number: Word::new("mm.context.number", 0),
        })
    }

    fn switch_to_a(&self, cpu: usize) {
        self.lock.lock();
        let fresh = self.number.load(Relaxed) == 0;
        if fresh {
            if self.variant == Variant::Fixed {
                self.mm.mask.store(0, Relaxed);
            }
            self.number.store(NEW.into(), Relaxed);
        }
        hw::install(Some(A), self.number.load(Relaxed) as u8, Install::Keep);
        // The first time that a CPU runs this number, it drops what was there under it.
        if fresh || self.mm.members() & 1 << cpu == 0 {
            self.mm.join(cpu);
            hw::flush_tag(NEW);
        }
        self.lock.unlock();
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for FirstUse {
    fn main(&self, cpu: usize) {
        sync::note("switch to A");
        self.switch_to_a(cpu);
    }
}
