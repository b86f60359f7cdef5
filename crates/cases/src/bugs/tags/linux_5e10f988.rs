//! A flush names the ASID that the space had; a CPU that uses the new one has read the old entry.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-5e10f988-tlbi-rollover",
    id: "C5",
    source: "5e10f9887ed8",
    year: 2021,
    title: "arm64: mm: Fix TLBI vs ASID rollover",
    arch: "arm64",
    rules: &[4, 12],
    about: "An unmap reads the ASID to flush before its cleared entry is visible; a CPU that switches in with a new \
            ASID caches the old entry under that.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "asid-renewal/pso",
    ..Bug::delayed_store(Memory::Pso, Rollover::model)
};

const SPACE: usize = 0;
const OLD: u8 = 1;
const NEW: u8 = 2;

/// CPU 0 reclaims a page of a space. CPU 1 switches to that space after ASIDs have rolled over.
#[derive(Debug)]
pub(crate) struct Rollover {
    variant: Variant,
    machine: Machine,
    asid: Word,
}

impl Rollover {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).tags(3).own_page(SPACE, 0, 1).must_free_frame(1);
        machine.runs(|machine| Self { variant, machine, asid: Word::new("mm.asid", OLD.into()) })
    }

    fn reclaim(&self) {
        sync::note("reclaim page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        if self.variant == Variant::Fixed {
            sync::fence(SeqCst);
        }
        let asid = self.asid.load(Relaxed) as u8;
        hw::broadcast(Whose::Tag(asid), Which::Page(0, WalkCache::Drop));
        hw::free_frame(1);
    }

    fn switch_in(&self) {
        sync::note("roll over and switch in");
        self.asid.store(NEW.into(), Relaxed);
        // The allocator's lock and the root load's own barrier.
        sync::fence(SeqCst);
        hw::install(Some(SPACE), NEW, Install::FlushTag);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Rollover {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.reclaim() } else { self.switch_in() }
    }
}
