//! A CPU sets its bit in the mask by an atomic operation, which is taken for a barrier.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-1a92a80a-powerpc-mask-order",
    id: "B15",
    source: "1a92a80ad386",
    year: 2017,
    title: "powerpc/mm: Ensure cpumask update is ordered",
    arch: "powerpc",
    rules: &[2],
    about: "A CPU that switches in sets its bit by an atomic operation that orders nothing; its walks may come first, and \
            a flush that reads the mask misses it.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in/weak",
    ..Bug::weak(SwitchIn::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const FLUSH: u64 = 1;

/// CPU 0 unmaps a page of a space that CPU 1 switches to.
#[derive(Debug)]
pub(crate) struct SwitchIn {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl SwitchIn {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).own_page(SPACE, 0, 1).must_free_frame(1);
        machine.runs(|machine| Self { variant, machine, mm: Mm::new(1, 1, 0), calls: CrossCall::new(2) })
    }

    /// The barrier on this side, between the entry and the mask, was there.
    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        self.calls.call(0, self.mm.members(), FLUSH);
        hw::free_frame(1);
    }

    fn switch_in(&self) {
        sync::note("switch to the space");
        let on = sync::irq_save();
        self.mm.mask.fetch_or(1 << 1, Relaxed);
        if self.variant == Variant::Fixed {
            sync::fence(SeqCst);
        }
        hw::install(Some(SPACE), TAG, Install::FlushTag);
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for SwitchIn {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.switch_in() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }
}
