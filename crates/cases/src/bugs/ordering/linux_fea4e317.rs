//! A flush does not count a CPU as using the space until after it has loaded the root.

use crate::bugs::{Bug, Right, Stage};
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-fea4e317-switching-window",
    id: "B12",
    source: "fea4e317f9e7 (CVE-2025-37964)",
    year: 2025,
    title: "x86/mm: Eliminate window where TLB flushes may be inadvertently skipped",
    arch: "x86",
    rules: &[1, 5],
    about: "A flush skips CPUs whose word does not name the space; a CPU that has loaded the root and not \
            yet written the word is skipped, and fills its TLB.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "seed",
    chain: &[
        Stage::broken(""),
        Stage {
            right: Right::UpTo(Memory::Sc),
            ..Stage::wrong(
                "unordered",
                "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
                || Window::model(Mark::Due),
            )
        }
        .by("fea4e317f9e7 (CVE-2025-37964) x86/mm: Eliminate window where TLB flushes may be inadvertently skipped"),
        Stage::FIXED.by("83b0177a6c48 (CVE-2025-40174) x86/mm: Fix SMP ordering in switch_mm_irqs_off()"),
    ],
    // Locked instructions are full barriers there and nowhere else.
    fixed_under: Memory::Pso,
    ..Bug::race(Memory::Tso, |variant| {
        Window::model(if variant == Variant::Broken { Mark::Skipped } else { Mark::Ordered })
    })
};

const SPACE: usize = 0;
const TAG: u8 = 1;
const FLUSH: u64 = 1;
/// What a CPU says that it has loaded.
const ANOTHER: u64 = 0;
const THIS: u64 = 1;
const SWITCHING: u64 = 2;
/// Generation of the space when CPU 1 left it.
const SEEN: u64 = 1;

/// What "switching" means to a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The CPU is skipped.
    Skipped,
    /// It is interrupted.
    Due,
    /// It is interrupted, and the mark is visible before the CPU reads the generation.
    Ordered,
}

/// CPU 0 takes a page away. CPU 1, whose bit and translations are left from an earlier run, switches to the space and
/// uses it.
#[derive(Debug)]
pub(crate) struct Window {
    mark: Mark,
    machine: Machine,
    mm: Mm,
    generation: Word,
    /// What CPU 1 says.
    loaded: Word,
    calls: CrossCall,
}

impl Window {
    pub(crate) fn model(mark: Mark) -> Model {
        let machine =
            Machine::builder(2).tags(2).own_page(SPACE, 0, 1).cached(1, TAG, 0, 1).must_free_frame(1);
        machine.runs(|machine| Self {
            mark,
            machine,
            mm: Mm::new(1, 1, 0b10),
            generation: Word::new("mm.tlb_gen", SEEN),
            loaded: Word::new("cpu1.loaded_mm", ANOTHER),
            calls: CrossCall::new(2),
        })
    }

    fn unmap(&self) {
        sync::note("take page 0 away");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        self.generation.fetch_add(1, AcqRel);
        if self.mm.members() & 0b10 != 0 && self.is_due(self.loaded.load(Acquire)) {
            self.calls.call(0, 0b10, FLUSH);
        }
        hw::free_frame(1);
    }

    /// Whether a CPU that is in the mask has to be interrupted.
    fn is_due(&self, loaded: u64) -> bool {
        loaded == THIS || self.mark != Mark::Skipped && loaded == SWITCHING
    }

    fn switch_in(&self) {
        sync::note("switch to the space");
        let on = sync::irq_save();
        self.loaded.store(SWITCHING, Relaxed);
        if self.mark == Mark::Ordered {
            sync::fence(SeqCst);
        }
        let is_new = self.generation.load(Acquire) != SEEN;
        hw::install(Some(SPACE), TAG, if is_new { Install::FlushTag } else { Install::Keep });
        self.loaded.store(THIS, Relaxed);
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Window {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.switch_in() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }
}
