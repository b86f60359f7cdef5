//! A new round of ASIDs begins with a flush of the first of them alone.

use crate::bugs::{Bug, Stage};
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-68871b1f-asid-round",
    id: "C23",
    source: "68871b1f9b80",
    year: 2025,
    title: "x86/svm: Always flush TLB using TLB_CTRL_FLUSH_ALL",
    kernel: "Xen",
    arch: "x86 (SVM)",
    rules: &[12],
    about: "When ASIDs have run out Xen begins a new round and flushes, with a command that flushes the \
            one ASID which is entered; the rest of the round is stale.",
    ends: "CPU 0, in space A, can use page 0 -> frame 2 of space B (SD-12)",
    engine: "tag-reuse",
    chain: &[
        Stage::right("flushes-all", || Round::model(Variant::Fixed)),
        Stage::broken("64b1da5a2fcf x86/svm: Use flush-by-asid when available"),
        Stage::FIXED,
    ],
    ..Bug::race(Memory::Tso, Round::model)
};

const A: usize = 0;
const B: usize = 1;
const FIRST: u64 = 1;

/// One CPU, which has run a virtual CPU of guest A under ASID 1 and one of guest B under ASID 2. There are no more.
#[derive(Debug)]
pub(crate) struct Round {
    variant: Variant,
    /// The ASID that is given out next.
    next: Word,
}

impl Round {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .spaces(2, 1)
            .tags(3)
            .own_page(A, 0, 1)
            .own_page(B, 0, 2)
            .start(0, A, 1, true)
            .cached(0, 2, 0, 2);
        machine.runs(|_| Self { variant, next: Word::new("cpu0.asid.next", FIRST) })
    }

    /// Enters a guest that has no ASID of this round.
    fn enter(&self, guest: usize) {
        hw::user(false);
        let asid = self.next.load(Relaxed);
        self.next.store(asid + 1, Relaxed);
        let how = match (asid, self.variant) {
            (FIRST, Variant::Broken) => Install::FlushTag,
            (FIRST, _) => Install::FlushAll,
            _ => Install::Keep,
        };
        hw::install(Some(guest), asid as u8, how);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Round {
    fn main(&self, _: usize) {
        sync::note("begin a new round: enter B");
        self.enter(B);
        sync::note("enter A");
        self.enter(A);
    }
}
