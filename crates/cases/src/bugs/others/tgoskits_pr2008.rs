//! A broadcast invalidation runs before the store of the entry that it is about.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{HardwareOrder, Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "tgoskits-pr2008-early-tlbi",
    id: "G59",
    source: "PR 2008",
    year: 2026,
    title: "fix(ax-cpu): correct aarch64 TLB maintenance ordering and broadcast scope",
    kernel: "TGOSKits",
    arch: "arm64",
    rules: &[4],
    about: "A TLBI follows the store of the entry with no DSB between; it may be over before the store is visible, and \
            another core walks the old entry once more.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "aarch64-broadcast",
    ..Bug::weak(Unmap::model)
};

const SPACE: usize = 0;

/// CPU 0 unmaps a page; CPU 1 runs user code of the space.
#[derive(Debug)]
pub(crate) struct Unmap {
    variant: Variant,
    machine: Machine,
}

impl Unmap {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .order(HardwareOrder::Barriers)
            .own_page(SPACE, 0, 1)
            .start(1, SPACE, 0, true)
            .must_free_frame(1);
        machine.runs(|machine| Self { variant, machine })
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::note("flush_tlb");
        if self.variant == Variant::Fixed {
            hw::dsb();
        }
        hw::broadcast(Whose::Users, Which::Page(0, WalkCache::Drop));
        hw::dsb();
        hw::free_frame(1);
    }
}

impl Program for Unmap {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        }
    }
}
