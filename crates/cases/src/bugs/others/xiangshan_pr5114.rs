//! A TLB that keeps the result of both stages in the smaller of their sizes misses what a guest's fence names.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::AcqRel;
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Combined, Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xiangshan-pr5114-combined-sizes",
    id: "G56",
    source: "PR 5114",
    year: 2025,
    title: "fix(L1TLB): ignore addr when hfence.vvma or sfence.vma when v=1",
    kernel: "XiangShan",
    arch: "riscv (the core itself)",
    rules: &[8],
    about: "A guest's large page is kept as small pieces, of which a fence with an address drops one.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "seed",
    ..Bug::race(Memory::Pso, Fence::model)
};

const GUEST: usize = 0;
const VM: u8 = 1;
/// Two pages of the guest, which one of its leaves maps.
const LARGE: u64 = 1;

/// A guest takes its large page away and fences with an address in it.
#[derive(Debug)]
pub(crate) struct Fence {
    variant: Variant,
    machine: Machine,
}

impl Fence {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .tags(2)
            .large(1, Some(GUEST))
            .splintered_leaves()
            .second_stage(VM, Combined::Go, &[LARGE])
            .map(GUEST, 0, 1)
            .start(0, GUEST, VM, true);
        machine.runs(|machine| Self { variant, machine })
    }

    fn unmap(&self) {
        sync::note("guest: unmap the large page");
        self.machine.tables.leaf(GUEST, 0).swap(0, AcqRel);
        sync::note("guest: sfence.vma with an address in its second half");
        self.drop_address(1);
        hw::revoke(LARGE);
    }

    /// What the core does at a fence with an address.
    fn drop_address(&self, page: usize) {
        if self.variant == Variant::Broken {
            hw::flush_page(VM, page, WalkCache::Keep);
        } else {
            hw::flush_tag(VM);
        }
    }
}

impl Program for Fence {
    fn main(&self, _cpu: usize) {
        self.unmap();
    }
}
