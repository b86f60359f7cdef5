//! A count is read while it moves from one word to several; the reader takes it to be one.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-c444eb56-thp-mapcount",
    id: "D22",
    source: "c444eb564fb1 (CVE-2020-29368)",
    year: 2020,
    title: "mm: thp: make the THP mapcount atomic against __split_huge_pmd_locked()",
    rules: &[9],
    about: "A fault counts the mappings of a large page that is just being split by another process, gets one \
            instead of two, and writes to the shared page instead of copying it.",
    ends: "CPU 1 can still use page 0 of space B -> frame 1 read-only, which was revoked (SD-8)",
    engine: "seed",
    argued: &[("revoke f1r", "under the page's lock the page is always mapped twice, so a fault copies it")],
    ..Bug::race(Memory::Tso, Split::model)
};

const FAULTING: usize = 0;
const SPLITTING: usize = 1;
const TAG: u8 = 0;
const FLUSH: u64 = 1;
/// Translations of the shared page: read-only for each space, and writable for the one that gets it for itself.
const READ_ONLY: [u64; 2] = [1, 2];
const WRITABLE: u64 = 3;
const COPY: u64 = 4;

/// How often the large page is mapped: as a whole, and in parts. It is mapped once by each of the two spaces.
#[derive(Debug)]
struct Mappings {
    whole: Word,
    parts: Word,
}

/// Two processes share a large page after a fork. CPU 0 runs the first, which writes to it. CPU 1 runs the second,
/// which has its mapping of the page split into small ones.
#[derive(Debug)]
pub(crate) struct Split {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    mappings: Mappings,
    page_lock: Lock,
}

impl Split {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .spaces(2, 1)
            .translation(1, Some(FAULTING), false)
            .translation(1, Some(SPLITTING), false)
            .translation(1, Some(FAULTING), true)
            .translation(2, Some(FAULTING), true)
            .map(FAULTING, 0, READ_ONLY[FAULTING])
            .map(SPLITTING, 0, READ_ONLY[SPLITTING])
            .start(0, FAULTING, TAG, false)
            .start(1, SPLITTING, TAG, false);
        machine.runs(|machine| Self {
            variant,
            machine,
            mm: Mm::new(1, 1, 0b01),
            calls: CrossCall::new(2),
            mappings: Mappings {
                whole: Word::new("mappings.whole", 2),
                parts: Word::new("mappings.parts", 0),
            },
            page_lock: Lock::new("page_lock.held"),
        })
    }

    fn write_fault(&self) {
        sync::note("write fault on page 0");
        self.page_lock.lock();
        let parts = self.mappings.parts.load(Acquire);
        let whole = self.mappings.whole.load(Acquire);
        let entry = self.machine.tables.leaf(FAULTING, 0);
        if parts + whole == 1 {
            sync::note("mapped once: keep the page, write to it");
            entry.swap(WRITABLE, AcqRel);
            hw::revoke(READ_ONLY[SPLITTING]);
        } else {
            sync::note("shared: copy it");
            entry.swap(COPY, AcqRel);
            self.mappings.whole.fetch_sub(1, AcqRel);
        }
        sync::fence(SeqCst);
        self.calls.call(0, self.mm.members(), FLUSH);
        hw::flush_page(TAG, 0, WalkCache::Drop);
        self.page_lock.unlock();
    }

    fn split(&self) {
        sync::note("split the mapping");
        if self.variant == Variant::Fixed {
            self.page_lock.lock();
        }
        self.mappings.parts.fetch_add(1, AcqRel);
        self.mappings.whole.fetch_sub(1, AcqRel);
        if self.variant == Variant::Fixed {
            self.page_lock.unlock();
        }
        sync::note("back to user mode");
        hw::user(true);
    }
}

impl Program for Split {
    fn main(&self, cpu: usize) {
        if cpu == FAULTING { self.write_fault() } else { self.split() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }
}
