//! A page of the page cache is mapped by two areas, and only one is unmapped before its frame goes.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "starry-366b8cff-evict-siblings",
    id: "G13",
    source: "366b8cff7 (tgoskits PR 920)",
    year: 2026,
    title: "fix(starry-mm): fix use-after-free when evicting a page-cache page shared across split file mappings",
    kernel: "StarryOS",
    arch: "loongarch64",
    rules: &[8],
    about: "Evicting a cached page unmaps it from the area that faulted and frees the frame; a sibling area, split \
            off by mprotect, still maps it.",
    ends: "CPU 1 can still use page 1 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    ..Bug::race(Memory::Pso, Evict::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const FLUSH_PAGE: u64 = 1;
/// The areas that map the cached page: each at a page of its own. CPU 0 populates the first.
const AREAS: [usize; 2] = [0, 1];

/// A file mapping was split by mprotect. CPU 0 faults in one part, which evicts a page of the cache that both parts
/// map. A thread of the same process runs on CPU 1.
#[derive(Debug)]
pub(crate) struct Evict {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl Evict {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .map(SPACE, AREAS[0], 1)
            .map(SPACE, AREAS[1], 1)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self { variant, machine, mm: Mm::new(2, 1, 0b11), calls: CrossCall::new(2) })
    }

    fn populate(&self) {
        sync::note("evict a page of the cache");
        let owners = match self.variant {
            Variant::Broken => &AREAS[..1],
            _ => &AREAS[..],
        };
        for &page in owners {
            self.unmap(page);
        }
        hw::free_frame(1);
        sync::note("back to user mode");
        hw::user(true);
    }

    fn unmap(&self, page: usize) {
        self.machine.tables.leaf(SPACE, page).store(0, Relaxed);
        sync::fence(SeqCst);
        self.calls.call(0, self.mm.members(), FLUSH_PAGE + page as u64);
        hw::flush_page(TAG, page, WalkCache::Drop);
    }
}

impl Program for Evict {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.populate();
        } else {
            hw::touch(AREAS[1]);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |what| hw::flush_page(TAG, (what - FLUSH_PAGE) as usize, WalkCache::Drop));
    }
}
