//! A flag says that instruction caches have been flushed for a page; it is set before they are.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "linux-950b879b-icache-flag",
    id: "B14",
    source: "950b879b7f02; 588a513d3425 for arm64, 75f9a484e817 for arm",
    year: 2023,
    title: "riscv: Fixup race condition on PG_dcache_clean in flush_icache_pte",
    arch: "riscv, arm64, arm",
    rules: &[6, 8],
    about: "A CPU that maps a page to be executed flushes instruction caches once, and sets the page's flag before: \
            another CPU sees the flag, maps the page, and runs what its cache still has.",
    ends: "CPU 0 may run version 1 of code 0, and not 2 (SD-8)",
    engine: "borrow-vs-unmap",
    ..Bug::race(Memory::Pso, Flag::model)
};

/// What the page held before it was read from the file, and what it holds now.
const OLD: u64 = 1;
const NEW: u64 = 2;

/// Two CPUs map the same page, and run it.
#[derive(Debug)]
pub(crate) struct Flag {
    variant: Variant,
    clean: Word,
}

impl Flag {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).code(NEW).fetched(0, 0, OLD).fetched(1, 0, OLD);
        machine.runs(|_| Self { variant, clean: Word::new("page.clean", 0) })
    }

    fn map(&self) {
        if self.variant == Variant::Broken {
            if self.clean.swap(1, AcqRel) == 0 {
                hw::synchronise_everywhere();
            }
        } else if self.clean.load(Relaxed) == 0 {
            hw::synchronise_everywhere();
            self.clean.store(1, Relaxed);
        }
    }
}

impl Program for Flag {
    fn main(&self, _cpu: usize) {
        sync::note("map the page to be executed");
        self.map();
        sync::note("run it");
        hw::execute(0, NEW);
    }
}
