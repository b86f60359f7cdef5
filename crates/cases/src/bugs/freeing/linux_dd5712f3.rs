//! Migration relies on a new tag at the next switch; until then the old one is in use.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-dd5712f3-alpha-migration",
    id: "D21",
    source: "dd5712f3379c (CVE-2026-43258)",
    year: 2026,
    title: "alpha: fix user-space corruption during memory compaction",
    arch: "alpha",
    rules: &[6, 8],
    about: "A page is moved; a CPU that runs the process only notes to take a new tag at its next switch, and \
            goes on using the old page under the tag that is loaded.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    ..Bug::race(Memory::Pso, Migrate::model)
};

const SPACE: usize = 0;
const IDLE: u8 = 0;
const FIRST: u8 = 1;
const FLUSH: u64 = 1;
const OTHER: usize = 1;

/// CPU 0 moves a page of a process. CPU 1 runs the process, is idle for a while, and runs it again.
#[derive(Debug)]
pub(crate) struct Migrate {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// Whether the tag of the process on CPU 1 is given up: it takes a new one when it is next switched to.
    given_up: Word,
}

impl Migrate {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .tags(3)
            .own_page(SPACE, 0, 1)
            .translation(2, Some(SPACE), true)
            .start(OTHER, SPACE, FIRST, true)
            .must_free_frame(1);
        let given_up = Word::new("cpu1.given_up", 0);
        machine.runs(|machine| Self {
            variant,
            machine,
            mm: Mm::new(1, 1, 0b10),
            calls: CrossCall::new(2),
            given_up,
        })
    }

    fn migrate(&self) {
        sync::note("take page 0 from the process");
        let entry = self.machine.tables.leaf(SPACE, 0);
        entry.swap(0, AcqRel);
        sync::fence(SeqCst);
        self.calls.call(0, self.mm.members(), FLUSH);
        sync::note("copy it, map the copy");
        entry.swap(2, AcqRel);
        hw::free_frame(1);
    }

    fn flush(&self) {
        self.given_up.store(1, Relaxed);
        if self.variant == Variant::Fixed {
            hw::flush_page(FIRST, 0, WalkCache::Drop);
        }
    }

    fn run(&self) {
        sync::note("idle");
        hw::user(false);
        hw::install(None, IDLE, Install::Keep);
        sync::note("run the process again");
        let on = sync::irq_save();
        let tag = if self.given_up.load(Relaxed) == 0 { FIRST } else { FIRST + 1 };
        hw::install(Some(SPACE), tag, Install::Keep);
        sync::irq_restore(on);
        hw::user(true);
    }
}

impl Program for Migrate {
    fn main(&self, cpu: usize) {
        if cpu == OTHER { self.run() } else { self.migrate() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (OTHER, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| self.flush());
    }
}
