//! A deferred flush of the user half is noted in a bitmap that has no bit for this ASID.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-94a17f2d-pti-bitmap",
    id: "C10",
    source: "94a17f2dc90b",
    year: 2025,
    title: "x86/mm: Disable INVLPGB when PTI is enabled",
    arch: "x86",
    rules: &[12, 14],
    about: "The bitmap of deferred user flushes has a bit for each of a few ASIDs; the bit of a global ASID falls \
            into a neighbour and is lost.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "global-tag",
    ..Bug::race(Memory::Tso, Isolated::model)
};

const SPACE: usize = 0;
/// Tags of the space's kernel half and of its user half.
const KERNEL: u8 = 1;
const USER: u8 = 2;
/// Bits of the bitmap: as many as there were ASIDs when it was written.
const BITS: u64 = 4;

/// What the CPU keeps, in this order.
#[derive(Debug)]
struct PerCpu {
    /// ASIDs whose user half is to be flushed on the way back to user mode.
    to_flush: Word,
    /// A copy of a control register, which happens to lie behind.
    control: Word,
}

/// A thread unmaps a page of its own and goes back to user mode, on a kernel with page-table isolation.
#[derive(Debug)]
pub(crate) struct Isolated {
    asid: u64,
    machine: Machine,
    percpu: PerCpu,
}

impl Isolated {
    pub(crate) fn model(variant: Variant) -> Model {
        // Global ASIDs come after the few of the bitmap.
        let asid = if variant == Variant::Fixed { 1 } else { BITS + 1 };
        let machine = Machine::builder(1)
            .tags(3)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, KERNEL, false)
            .cached(0, USER, 0, 1)
            .must_free_frame(1);
        let percpu =
            PerCpu { to_flush: Word::new("cpu0.to_flush", 0), control: Word::new("cpu0.control", 0) };
        machine.runs(|machine| Self { asid, machine, percpu })
    }

    /// Bit instructions take any bit number: they find the word that it falls into.
    fn word(&self) -> (&Word, u64) {
        let word = if self.asid < BITS { &self.percpu.to_flush } else { &self.percpu.control };
        (word, 1 << (self.asid % BITS))
    }

    fn unmap(&self) {
        sync::note("munmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_page(KERNEL, 0, WalkCache::Drop);
        let (word, bit) = self.word();
        word.store(word.load(Relaxed) | bit, Relaxed);
        hw::free_frame(1);
    }

    fn return_to_user(&self) {
        sync::note("back to user mode");
        let (word, bit) = self.word();
        let found = word.load(Relaxed);
        let how = if found & bit != 0 { Install::FlushTag } else { Install::Keep };
        word.store(found & !bit, Relaxed);
        hw::install(Some(SPACE), USER, how);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Isolated {
    fn main(&self, _: usize) {
        self.unmap();
        sync::note("some other work sets the control register");
        self.percpu.control.store(0, Relaxed);
        self.return_to_user();
    }
}
