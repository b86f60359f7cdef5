//! The sequences of `shootdown-sparc64` on a TLB that tells contexts apart: each drops what it must, and nothing else.

use crate::memory::{address, load, map, store, unmap};
use crate::{machine, memory};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange};
use shootdown::tags::{OnInstall, Tag};
use shootdown_sparc64::encode::Slots;
use shootdown_sparc64::{Machine, Mmu, Strategies};

/// What a check is called, and whether that holds.
type Check = (&'static str, fn(&Mmu) -> bool);

/// The checks, in order.
pub const CHECKS: [Check; 9] = [
    ("what is not flushed stays", not_flushed_stays),
    ("a page is demapped alone", page_alone),
    ("a page is demapped in a context that is not loaded", page_elsewhere),
    ("a context is demapped alone", context_alone),
    ("the same through the primary context", through_primary),
    ("an install without flush keeps", install_keeps),
    ("an install with flush drops", install_drops),
    ("everything goes but what is locked", everything),
    ("an unmapped page faults", unmapped_faults),
];

/// Two spaces and the contexts that these checks load them under.
const A: (usize, Tag) = (0, Tag::new(machine::CONTEXTS as u16 + 1));
const B: (usize, Tag) = (1, Tag::new(machine::CONTEXTS as u16 + 2));
const OLD: u64 = 0x01d;
const NEW: u64 = 0x2e3;

fn enter(mmu: &Mmu, (space, tag): (usize, Tag), how: OnInstall) {
    // SAFETY: 1. interrupts are off in these checks; 2. TSBs are static; 3. these contexts are of these spaces alone, and
    // that they hold old entries is what is checked.
    unsafe { mmu.install(Some(memory::root(space)), tag, how) };
}

fn flush(mmu: &Mmu, what: LocalFlush) {
    // SAFETY: 1. interrupts are off in these checks.
    unsafe { mmu.flush_local(what) };
}

fn page(tag: Tag, page: usize) -> LocalFlush {
    LocalFlush { tag: Some(tag), request: FlushRequest::pages(PageRange::page(address(page))) }
}

/// Maps pages 0 and 1 of both spaces and reads them, so that they are in the TLB; then maps them elsewhere. Ends in
/// `A`.
fn both_old(mmu: &Mmu) {
    flush(mmu, LocalFlush::EVERYTHING);
    for place in [B, A] {
        enter(mmu, place, OnInstall::Flush);
        for page in 0..2 {
            map(place.0, page, 0, OLD);
            assert_eq!(load(page), Some(OLD), "what was just mapped");
            map(place.0, page, 1, NEW);
        }
    }
}

fn reads(mmu: &Mmu, place: (usize, Tag), expected: [u64; 2]) -> bool {
    enter(mmu, place, OnInstall::Keep);
    [0, 1].map(load) == expected.map(Some)
}

fn not_flushed_stays(mmu: &Mmu) -> bool {
    both_old(mmu);
    reads(mmu, A, [OLD, OLD]) && reads(mmu, B, [OLD, OLD])
}

fn page_alone(mmu: &Mmu) -> bool {
    both_old(mmu);
    flush(mmu, page(A.1, 0));
    reads(mmu, A, [NEW, OLD]) && reads(mmu, B, [OLD, OLD])
}

fn page_elsewhere(mmu: &Mmu) -> bool {
    both_old(mmu);
    flush(mmu, page(B.1, 1));
    reads(mmu, A, [OLD, OLD]) && reads(mmu, B, [OLD, NEW])
}

fn context_alone(mmu: &Mmu) -> bool {
    both_old(mmu);
    flush(mmu, LocalFlush { tag: Some(B.1), request: FlushRequest::all() });
    reads(mmu, A, [OLD, OLD]) && reads(mmu, B, [NEW, NEW])
}

/// What UltraSPARC III and later do, at trap level 1.
fn through_primary(mmu: &Mmu) -> bool {
    let strategies = Strategies::new(Machine::Cheetah(Slots::One));
    // SAFETY: 1. and 2. as where `mmu` was made; QEMU's UltraSPARC II demaps by the primary context as well.
    let primary = unsafe { Mmu::new(strategies, memory::root(B.0)) };
    both_old(mmu);
    flush(&primary, page(B.1, 1));
    flush(&primary, LocalFlush { tag: Some(A.1), request: FlushRequest::all() });
    reads(mmu, A, [NEW, NEW]) && reads(mmu, B, [OLD, NEW])
}

fn install_keeps(mmu: &Mmu) -> bool {
    both_old(mmu);
    enter(mmu, B, OnInstall::Keep);
    enter(mmu, A, OnInstall::Keep);
    reads(mmu, A, [OLD, OLD])
}

fn install_drops(mmu: &Mmu) -> bool {
    both_old(mmu);
    enter(mmu, A, OnInstall::Flush);
    reads(mmu, A, [NEW, NEW]) && reads(mmu, B, [OLD, OLD])
}

fn everything(mmu: &Mmu) -> bool {
    both_old(mmu);
    // The image is locked: if it went, nothing would run from here on.
    flush(mmu, LocalFlush::EVERYTHING);
    reads(mmu, A, [NEW, NEW]) && reads(mmu, B, [NEW, NEW])
}

fn unmapped_faults(mmu: &Mmu) -> bool {
    both_old(mmu);
    let (space, tag) = A;
    (0..2).for_each(|page| unmap(space, page));
    flush(mmu, page(tag, 0));
    load(0).is_none() && !store(0, NEW) && load(1) == Some(OLD) && store(1, OLD)
}
