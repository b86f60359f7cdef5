//! A CPU comes back from lazy mode and goes on with a translation buffer that was replaced and freed.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-7a1ac526-sparc64-tsb-grow",
    id: "D20",
    source: "7a1ac5264108",
    year: 2006,
    title: "[SPARC64]: Fix and re-enable dynamic TSB sizing.",
    arch: "sparc64",
    rules: &[5, 7],
    about: "A space's software TLB is replaced by a larger one while a CPU is lazy and out of the mask; it comes \
            back, finds its context valid, and keeps using the freed one.",
    ends: "use of old.entry after its memory was given back",
    engine: "lazy-return",
    ..Bug::race(Memory::Tso, Grow::model)
};

const LAZY: usize = 0;
const RELOAD: u64 = 1;
const OLD: u64 = 0;
const NEW: u64 = 1;

/// A buffer of translations in memory, which the TLB miss handler looks into.
#[derive(Debug)]
struct Tsb {
    entry: Word,
}

/// The space has one thread. It has run on CPU 0, which is lazy since; it runs on CPU 1 now, and the buffer grows. Then
/// it moves to CPU 0.
#[derive(Debug)]
pub(crate) struct Grow {
    variant: Variant,
    mm: Mm,
    calls: CrossCall,
    old: Tsb,
    new: Tsb,
    /// The space's buffer, and the one in the register of CPU 0.
    current: Word,
    loaded: Word,
    /// Where the thread is.
    runs_on: Word,
}

impl Grow {
    pub(crate) fn model(variant: Variant) -> Model {
        Machine::builder(2).runs(|_| Self {
            variant,
            mm: Mm::new(1, 2, 0b11),
            calls: CrossCall::new(2),
            old: Tsb { entry: Word::new("entry", 1) },
            new: Tsb { entry: Word::new("new.entry", 0) },
            current: Word::new("mm.tsb", OLD),
            loaded: Word::new("cpu0.tsb", OLD),
            runs_on: Word::new("thread.runs_on", 1),
        })
    }

    fn come_back(&self) {
        sync::wait_until(|| self.runs_on.load(Acquire) == LAZY as u64);
        sync::note("switch to the thread");
        let on = sync::irq_save();
        self.mm.join(LAZY);
        sync::fence(SeqCst);
        // The context is valid, and the space is the one that was left.
        if self.variant == Variant::Fixed {
            self.reload();
        }
        sync::irq_restore(on);
        self.miss();
    }

    /// Handles a TLB miss of the thread.
    fn miss(&self) {
        sync::note("TLB miss");
        let on = sync::irq_save();
        let buffer = if self.loaded.load(Relaxed) == OLD { &self.old } else { &self.new };
        buffer.entry.load(Acquire);
        sync::irq_restore(on);
    }

    fn reload(&self) {
        self.loaded.store(self.current.load(Relaxed), Relaxed);
    }

    fn grow(&self) {
        sync::note("flush: a single user, so alone from now on");
        if self.mm.users.load(Relaxed) == 1 {
            self.mm.mask.store(1 << 1, Relaxed);
        }
        sync::note("let the buffer grow");
        self.new.entry.store(self.old.entry.load(Relaxed), Relaxed);
        self.current.store(NEW, Release);
        sync::fence(SeqCst);
        self.calls.call(1, self.mm.members(), RELOAD);
        sync::note("free the old buffer");
        sync::retire(&self.old);
        sync::note("the thread moves to CPU 0");
        self.runs_on.store(LAZY as u64, Release);
    }
}

impl Program for Grow {
    fn main(&self, cpu: usize) {
        if cpu == LAZY { self.come_back() } else { self.grow() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (LAZY, CROSS_CALL), "only CPU 1 calls");
        self.calls.serve(cpu, |_| self.reload());
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("old", &self.old);
    }
}
