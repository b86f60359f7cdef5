//! A page that was shared with the host becomes private again, and the TLB still has it as shared.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "svsm-338cbc2d-ghcb-drop",
    id: "G15",
    source: "338cbc2d (PR 1188)",
    year: 2026,
    title: "kernel/sec/ghcb: add missing tlb flush in GhcbPage::drop.",
    kernel: "Coconut SVSM",
    arch: "x86",
    rules: &[8],
    about: "Dropping a page shared with the host makes its entry private and flushes nothing; later secrets are \
            written through the shared one.",
    ends: "CPU 0 can still use kernel page 0 -> frame 2, which was freed (SD-8)",
    engine: "kernel-gather",
    ..Bug::race(Memory::Tso, Ghcb::model)
};

/// The page as its owner alone can read it, and the same page as the host can: with encryption, two addresses.
const PRIVATE: u64 = 1;
const SHARED_VIEW: usize = 2;

/// CPU 0 gives up a page through which it has talked to the host. CPU 1 is idle.
#[derive(Debug)]
pub(crate) struct Ghcb {
    variant: Variant,
    machine: Machine,
}

impl Ghcb {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .kernel_pages(1)
            .translation(1, None, true)
            .translation(SHARED_VIEW, None, true)
            .map_kernel(0, 2)
            .must_free_frame(SHARED_VIEW);
        machine.runs(|machine| Self { variant, machine })
    }

    fn drop_page(&self) {
        sync::note("make the page private again");
        self.machine.tables.kernel(0).store(PRIVATE, Relaxed);
        sync::fence(SeqCst);
        if self.variant == Variant::Fixed {
            hw::broadcast(Whose::Kernel, Which::Page(0, WalkCache::Keep));
        }
        sync::note("give it back to the heap");
        hw::free_frame(SHARED_VIEW);
    }
}

impl Program for Ghcb {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.drop_page();
        }
    }
}
