//! A flush request without a generation carries 0, and targets skip it as an old one.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "linux-8f1d56f6-x86-generation-zero",
    id: "B5",
    source: "8f1d56f64f8d",
    year: 2022,
    title: "x86/mm/tlb: Ignore f->new_tlb_gen when zero",
    arch: "x86",
    rules: &[6, 14],
    about: "Targets skip requests whose generation they have reached; batched requests have none and carry 0, so every \
            target skips them.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    ..Bug::race(Memory::Tso, Batch::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const OTHER: usize = 1;
/// Generation of a request for whatever is current.
const NONE: u64 = 0;
/// Generation that the space and CPU 1 start with.
const START: u64 = 2;

/// CPU 0 reclaims page 0 in a batch, and then unmaps page 1. CPU 1 runs another thread of the space.
#[derive(Debug)]
pub(crate) struct Batch {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// Number of flushes of the space, and how many of them CPU 1 has made.
    generation: Word,
    seen: Word,
}

impl Batch {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .own_page(SPACE, 1, 2)
            .start(0, SPACE, TAG, true)
            .start(OTHER, SPACE, TAG, true)
            .must_free_frame(1)
            .must_free_frame(2);
        machine.runs(|machine| Self {
            variant,
            machine,
            mm: Mm::new(2, 1, 0b11),
            calls: CrossCall::new(2),
            generation: Word::new("mm.generation", START),
            seen: Word::new("cpu1.seen", START),
        })
    }

    fn clear(&self, page: usize) -> u64 {
        self.machine.tables.leaf(SPACE, page).swap(0, AcqRel);
        self.generation.fetch_add(1, AcqRel) + 1
    }

    /// Requests are numbers above 0, so the generation goes one higher.
    fn request(&self, generation: u64) {
        self.calls.call(0, self.mm.members(), 1 + generation);
        hw::flush_tag(TAG);
    }

    fn flush_request(&self, generation: u64) {
        let seen = self.seen.load(Relaxed);
        let done = match self.variant {
            Variant::Broken => generation <= seen,
            _ => generation != NONE && generation <= seen,
        };
        if done {
            return;
        }
        let current = self.generation.load(Relaxed);
        if seen < current {
            hw::flush_tag(TAG);
            self.seen.store(current, Relaxed);
        }
    }
}

impl Program for Batch {
    fn main(&self, cpu: usize) {
        if cpu == OTHER {
            return hw::touch(0);
        }
        sync::note("reclaim page 0 in a batch");
        self.clear(0);
        self.request(NONE);
        hw::free_frame(1);
        sync::note("munmap page 1");
        let generation = self.clear(1);
        self.request(generation);
        hw::free_frame(2);
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (OTHER, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |what| self.flush_request(what - 1));
    }
}
