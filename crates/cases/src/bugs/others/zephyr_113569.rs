//! ASIDs are given out in turn, also those that are in use.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "zephyr-113569-live-asid",
    id: "G20b",
    source: "issue 113569",
    year: 2026,
    title: "arch: arm64: avoid reusing live ASIDs in arch_mem_domain_init()",
    kernel: "Zephyr",
    arch: "arm64",
    rules: &[12],
    about: "The counter that gives out ASIDs wraps and hands a new domain the ASID of one that is alive; both hit \
            each other in the TLB.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "asid-rollover",
    ..Bug::race(Memory::Pso, RoundRobin::model)
};

const OLD: usize = 0;
const NEW: usize = 1;
/// ASIDs are 1 and 2; there are 255 on real machines.
const LAST: u64 = 2;

/// One CPU runs a thread of a domain that has ASID 1. A new domain is made after the ASIDs went round, and run.
#[derive(Debug)]
pub(crate) struct RoundRobin {
    variant: Variant,
    next: Word,
    /// ASIDs of live domains, as bits.
    live: Word,
}

impl RoundRobin {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .spaces(2, 1)
            .tags(3)
            .own_page(OLD, 0, 1)
            .own_page(NEW, 0, 2)
            .start(0, OLD, 1, true);
        machine.runs(|_| Self {
            variant,
            next: Word::new("asid.next.next", 1),
            live: Word::new("asid.live.live", 0b010),
        })
    }

    fn allocate(&self) -> u64 {
        let mut asid = self.take_next();
        if self.variant == Variant::Fixed {
            while self.live.load(Relaxed) & 1 << asid != 0 {
                asid = self.take_next();
            }
        }
        self.live.fetch_or(1 << asid, Relaxed);
        asid
    }

    fn take_next(&self) -> u64 {
        let asid = self.next.load(Relaxed);
        self.next.store(if asid == LAST { 1 } else { asid + 1 }, Relaxed);
        asid
    }
}

impl Program for RoundRobin {
    fn main(&self, _: usize) {
        sync::note("make a new domain");
        hw::user(false);
        let asid = self.allocate() as u8;
        sync::note("run it");
        hw::install(Some(NEW), asid, Install::Keep);
        hw::user(true);
        hw::touch(0);
    }
}
