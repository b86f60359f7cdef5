//! The interrupt of a flush overtakes the address to be flushed.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Interrupts, Memory};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-5500d265-x2apic-shorthand",
    id: "G58",
    source: "patch of 28 February 2024 (mends 5500d265a2a8)",
    year: 2024,
    title: "x86: serializing of non-serializing MSR writes",
    kernel: "Xen",
    arch: "x86 (x2APIC)",
    rules: &[6],
    about: "An IPI to all others is sent by a write to an MSR with no fence before it; a target flushes the address of the \
            flush before, answers, and keeps the page.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "x2apic-unmap",
    ..Bug::delayed_store(Memory::Tso, Flush::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const INVALIDATE: u8 = 0;
/// What the flush before was about.
const EARLIER: u64 = 1;

/// CPU 0 unmaps page 0 and asks all others to flush it. One flush is under way at a time.
#[derive(Debug)]
pub(crate) struct Flush {
    variant: Variant,
    machine: Machine,
    mask: Word,
    address: Word,
}

impl Flush {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            mask: Word::new("flush.mask.mask", 0),
            address: Word::new("flush.address.address", EARLIER),
        })
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        sync::note("flush_area_mask");
        hw::flush_page(TAG, 0, WalkCache::Drop);
        self.mask.store(1 << 1, Relaxed);
        self.address.store(0, Release);
        if self.variant == Variant::Fixed {
            hw::dsb();
        }
        sync::raise(1, INVALIDATE);
        sync::wait_until(|| self.mask.load(Acquire) == 0);
        hw::free_frame(1);
    }

    fn invalidate(&self) {
        let page = self.address.load(Acquire) as usize;
        hw::flush_page(TAG, page, WalkCache::Drop);
        self.mask.fetch_and(!(1 << 1), AcqRel);
    }
}

impl Program for Flush {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, INVALIDATE), "only CPU 0 asks");
        self.invalidate();
    }

    fn interrupts(&self) -> Interrupts {
        Interrupts::Overtake
    }
}
