//! The mask of a call is tested, then copied; between the two the CPUs in it have taken themselves out.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-723aae25-mask-cleared",
    id: "F7",
    source: "723aae25d5cd",
    year: 2011,
    title: "smp_call_function_many: handle concurrent clearing of mask",
    rules: &[6],
    about: "A call to many CPUs finds two in the mask, but copies it only when both have left: the copy is \
            empty, nobody answers, and the call structure is never released.",
    ends: "no CPU can go on: CPU 0 waits for call.taken to change from 0x1",
    engine: "switch-vs-flush",
    argued: &[(
        "linux_723aae25.rs: Release of a store",
        "who lets a call go hands on what it did with it; the next caller here reads nothing of it",
    )],
    ..Bug::race(Memory::Tso, Many::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const CALL: u8 = 0;

/// The caller's one structure for calls to many: the last CPU to answer releases it.
#[derive(Debug)]
struct Call {
    taken: Word,
    targets: Word,
    left: Word,
}

/// CPU 0 unmaps a page and has all CPUs in the mask flush. CPUs 1 and 2, lazy on the space, leave it.
#[derive(Debug)]
pub(crate) struct Many {
    variant: Variant,
    machine: Machine,
    mask: Word,
    call: Call,
}

impl Many {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(3)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, false)
            .start(2, SPACE, TAG, false)
            .must_free_frame(1);
        let call = Call {
            taken: Word::new("call.taken", 0),
            targets: Word::new("call.targets", 0),
            left: Word::new("call.left", 0),
        };
        machine.runs(|machine| Self { variant, machine, mask: Word::new("mm.mask", 0b111), call })
    }

    fn unmap(&self) {
        sync::note("munmap page 0");
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        if self.mask.load(Acquire) & 0b110 != 0 {
            sync::note("others are in the mask: call them");
            self.call_many();
            sync::wait_until(|| self.call.taken.load(Acquire) == 0);
        }
        hw::flush_page(TAG, 0, WalkCache::Drop);
        hw::free_frame(1);
    }

    fn call_many(&self) {
        self.call.taken.store(1, Relaxed);
        let targets = self.mask.load(Acquire) & 0b110;
        self.call.left.store(targets.count_ones().into(), Relaxed);
        if targets == 0 {
            return self.call_nobody();
        }
        self.call.targets.swap(targets, AcqRel);
        for cpu in (1..3).filter(|cpu| targets >> cpu & 1 != 0) {
            sync::raise(cpu, CALL);
        }
    }

    fn call_nobody(&self) {
        if self.variant == Variant::Fixed {
            self.call.taken.store(0, Relaxed);
        }
    }

    fn answer(&self, cpu: usize) {
        if self.call.targets.fetch_and(!(1 << cpu), AcqRel) >> cpu & 1 != 0 {
            hw::flush_tag(TAG);
            if self.call.left.fetch_sub(1, AcqRel) == 1 {
                self.call.taken.store(0, Relaxed);
            }
        }
    }

    fn leave(&self, cpu: usize) {
        sync::note("leave the space");
        let on = sync::irq_save();
        hw::install(None, TAG, Install::FlushTag);
        self.mask.fetch_and(!(1 << cpu), AcqRel);
        sync::irq_restore(on);
    }
}

impl Program for Many {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.leave(cpu) }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert!(cpu != 0 && line == CALL, "only CPU 0 calls");
        self.answer(cpu);
    }
}
