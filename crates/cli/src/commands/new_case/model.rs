//! One sentence: what goes wrong.

use shootdown_cases::bugs::{Bug, boxed};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Program, Variant};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// The bug; every field is explained at `Bug`, and `shootdown check` says what is wrong with one.
pub const BUG: Bug = Bug {
    name: "@NAME@",
    id: "G99",
    source: "the commit or advisory that fixed it",
    title: "its title",
    kernel: "@KERNEL@",
    arch: "generic",
    rules: &[8],
    about: "One sentence: a page is unmapped and its frame freed, and nobody tells the other CPU.",
    story: include_str!("@FILE@.md"),
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: &[("@FILE@.rs", include_str!("@FILE@.rs"))],
    ..Bug::race(Memory::Tso, |variant| boxed(Protocol::new(variant)))
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const IPI: u8 = 0;

/// CPU 0 unmaps page 0, CPU 1 runs another thread of the same program.
#[derive(Debug)]
struct Protocol {
    variant: Variant,
    machine: Machine,
    /// Whether CPU 1 has flushed as it was asked to.
    flushed: Word,
}

impl Protocol {
    fn new(variant: Variant) -> Self {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .map(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1)
            .build();
        Self { variant, machine, flushed: Word::new("flushed", 0) }
    }

    fn munmap(&self) {
        sync::note("munmap");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_page(TAG, 0, WalkCache::Drop);
        if self.variant == Variant::Fixed {
            sync::raise(1, IPI);
            sync::wait_until(|| self.flushed.load(Acquire) == 1);
        }
        hw::free_frame(1);
    }
}

impl Program for Protocol {
    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.munmap();
        } else {
            hw::touch(0);
        }
    }

    fn interrupt(&self, _cpu: usize, _line: u8) {
        hw::flush_page(TAG, 0, WalkCache::Drop);
        self.flushed.store(1, Release);
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("protocol", self);
    }
}
