//! Whether a page table is shared is read off its reference count, which others raise for a moment.

use crate::bugs::Bug;
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "linux-59d9094d-pmd-share-count",
    id: "D8b",
    source: "59d9094df3d7 (CVE-2024-57883)",
    year: 2024,
    title: "mm: hugetlb: independent PMD page table shared count",
    rules: &[9, 14],
    about: "An unmap takes a page table to be shared, as its page has two references; one is a passing look by \
            somebody else, and the pages that the table maps are never freed.",
    ends: "frame 1 is lost: all CPUs have finished and it was never freed (SD-14)",
    engine: "seed",
    ..Bug::race(Memory::Tso, ShareCount::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const TABLE: u64 = 1;

/// The state of the memory that holds the page table.
#[derive(Debug)]
struct TablePage {
    /// References, as any page has them: dropping the last one frees the page.
    refs: Word,
    /// Other address spaces that have the table in their trees.
    sharers: Word,
}

/// CPU 0 unmaps what the table maps; nobody shares it. CPU 1 goes through all pages of memory, in search of some that
/// can be moved or split, and takes a reference to each for as long as it looks.
#[derive(Debug)]
pub(crate) struct ShareCount {
    variant: Variant,
    machine: Machine,
    i_mmap: Lock,
    page: TablePage,
}

impl ShareCount {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, false)
            .must_free_frame(1)
            .must_free_table(TABLE);
        let page =
            TablePage { refs: Word::new("table_page.refs", 1), sharers: Word::new("table_page.sharers", 0) };
        machine.runs(|machine| Self { variant, machine, i_mmap: Lock::new("i_mmap.held"), page })
    }

    fn unmap(&self) {
        sync::note("munmap");
        self.i_mmap.lock();
        let shared = match self.variant {
            Variant::Broken => self.page.refs.load(Relaxed) > 1,
            _ => self.page.sharers.load(Relaxed) > 0,
        };
        self.machine.tables.root(SPACE, 0).swap(0, AcqRel);
        if shared {
            sync::note("shared: the others see to its pages");
            hw::flush_tag(TAG);
        } else {
            self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
            hw::flush_tag(TAG);
            hw::free_frame(1);
        }
        self.put();
        self.i_mmap.unlock();
    }

    fn put(&self) {
        if self.page.refs.fetch_sub(1, AcqRel) == 1 {
            hw::free_table(TABLE);
        }
    }

    fn look(&self) {
        sync::note("look at the page");
        let seen = self.page.refs.load(Relaxed);
        if seen != 0 && self.page.refs.compare_exchange(seen, seen + 1, AcqRel, Relaxed).is_ok() {
            sync::note("a page table: nothing to be done with it");
            self.put();
        }
    }
}

impl Program for ShareCount {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.look() }
    }
}
