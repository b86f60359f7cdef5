//! The sequences of `shootdown-loongarch64` on a TLB that tells ASIDs apart: each drops what it must, and nothing else.

use crate::memory::{self, KERNEL, PAGES, address, fill, load, map};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, PageSize};
use shootdown::tags::{OnInstall, Tag};
use shootdown_loongarch64::Mmu;

/// Something that is done while entries are stale, and what of them goes.
pub struct Check {
    /// Says what must go, in a line.
    pub name: &'static str,
    act: fn(&Mmu),
    /// Whether the pairs of pages go, of `A`, of `B` and of the kernel.
    goes: [[bool; PAIRS]; 3],
}

/// The checks, in order.
pub const CHECKS: [Check; 11] = [
    check("what is not flushed stays", |_| {}, [NONE, NONE, NONE]),
    check("INVTLB 5 drops a pair", |mmu| flush(mmu, Some(A.1), at(A.0, 1, 1)), [FIRST, NONE, NONE]),
    check(
        "INVTLB 5 drops a pair under an ASID that is not loaded",
        |mmu| flush(mmu, Some(B.1), at(B.0, 2, 1)),
        [NONE, SECOND, NONE],
    ),
    check("two pages of two pairs drop both", |mmu| flush(mmu, Some(A.1), at(A.0, 1, 2)), [BOTH, NONE, NONE]),
    check("INVTLB 4 drops an ASID", |mmu| flush(mmu, Some(B.1), FlushRequest::all()), [NONE, BOTH, NONE]),
    check(
        "more pages than the ceiling drop the ASID",
        |mmu| flush(mmu, Some(A.1), at(A.0, 0, 1000)),
        [BOTH, NONE, NONE],
    ),
    check("INVTLB 6 drops a global pair", |mmu| flush(mmu, None, at(KERNEL, 3, 1)), [NONE, NONE, SECOND]),
    check("INVTLB 2 drops global entries", |mmu| flush(mmu, None, at(KERNEL, 0, 1000)), [NONE, NONE, BOTH]),
    check("INVTLB 0 drops everything", |mmu| flush(mmu, None, FlushRequest::all()), [BOTH, BOTH, BOTH]),
    check(
        "an install without flush keeps",
        |mmu| [B, A].into_iter().for_each(|place| enter(mmu, place, OnInstall::Keep)),
        [NONE, NONE, NONE],
    ),
    check("an install with flush drops the ASID", |mmu| enter(mmu, A, OnInstall::Flush), [BOTH, NONE, NONE]),
];

const fn check(name: &'static str, act: fn(&Mmu), goes: [[bool; PAIRS]; 3]) -> Check {
    Check { name, act, goes }
}

const PAIRS: usize = PAGES / 2;
const NONE: [bool; PAIRS] = [false, false];
const FIRST: [bool; PAIRS] = [true, false];
const SECOND: [bool; PAIRS] = [false, true];
const BOTH: [bool; PAIRS] = [true, true];

/// Two spaces and the ASIDs that these checks load them under.
const A: (usize, Tag) = (0, Tag::new(0x155));
const B: (usize, Tag) = (1, Tag::new(0x2aa));
const OLD: u64 = 0x01d;
const NEW: u64 = 0x2e3;
/// How often a check is made. QEMU replaces one of eight entries by chance, so what must stay does so now and then, and
/// what must go does so always.
const TRIALS: usize = 32;

impl Check {
    /// Whether it holds.
    pub fn holds(&self, mmu: &Mmu) -> bool {
        let irqs = mmu.irq_save();
        let mut stayed = [[0; PAIRS]; 3];
        for _ in 0..TRIALS {
            make_stale(mmu);
            (self.act)(mmu);
            count_stale(mmu, &mut stayed);
        }
        enter(mmu, (memory::EMPTY, Tag::NONE), OnInstall::Flush);
        mmu.irq_restore(irqs);
        stayed.map(|pairs| pairs.map(|count| count == 0)) == self.goes
    }
}

/// Maps the pages of both spaces and of the kernel, reads them so that they are in the TLB, and maps them elsewhere.
/// Ends in `A`.
fn make_stale(mmu: &Mmu) {
    flush(mmu, None, FlushRequest::all());
    for (space, tag) in [B, A, (KERNEL, A.1)] {
        if space != KERNEL {
            enter(mmu, (space, tag), OnInstall::Flush);
        }
        for (turn, value) in [(1, NEW), (0, OLD)] {
            (0..PAGES).for_each(|page| {
                fill(space, page, turn, value);
                map(space, page, turn);
            });
        }
        for page in 0..PAGES {
            assert_eq!(load(address(space, page)), Some(OLD), "what was just mapped {space} {page}");
        }
        (0..PAGES).for_each(|page| map(space, page, 1));
    }
}

/// Counts the pairs of which a page reads as it did.
fn count_stale(mmu: &Mmu, stayed: &mut [[u32; PAIRS]; 3]) {
    for ((space, tag), pairs) in [A, B, (KERNEL, B.1)].into_iter().zip(stayed) {
        if space != KERNEL {
            enter(mmu, (space, tag), OnInstall::Keep);
        }
        for (pair, count) in pairs.iter_mut().enumerate() {
            let values = [0, 1].map(|odd| load(address(space, 2 * pair + odd)).expect("mapped"));
            assert!(values.iter().all(|value| [OLD, NEW].contains(value)), "{values:x?}");
            *count += u32::from(values.contains(&OLD));
        }
    }
}

fn enter(mmu: &Mmu, (space, tag): (usize, Tag), how: OnInstall) {
    // SAFETY: 1. interrupts are off in these checks; 2. tables are static; 3. these ASIDs are of these spaces alone, and that
    // they hold old entries is what is checked.
    unsafe { mmu.install(Some(memory::root(space)), tag, how) };
}

fn flush(mmu: &Mmu, tag: Option<Tag>, request: FlushRequest) {
    // SAFETY: 1. interrupts are off in these checks.
    unsafe { mmu.flush_local(LocalFlush { tag, request }) };
}

fn at(space: usize, page: usize, count: u64) -> FlushRequest {
    FlushRequest::pages(PageRange::new(address(space, page), count, PageSize::Size16K).expect("whole pages"))
}
