//! A TLB miss handler in software follows a pointer to a page table that is freed before it gets there.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "freebsd-r360280-mips-refill",
    id: "B11",
    source: "r360280",
    year: 2020,
    title: "Fix a race between _pmap_unwire_ptp() and MipsDoTLBMiss()",
    kernel: "FreeBSD",
    arch: "mips",
    rules: &[7],
    about: "A page table is unhooked and freed at once; a TLB miss handler on another CPU has read the pointer to it and \
            goes on to read the freed page.",
    ends: "use of table1.slot0 after its memory was given back",
    engine: "lazy-vs-table-free",
    ..Bug::race(Memory::Pso, Refill::model)
};

const SPACE: usize = 0;
const TAG: u8 = 1;
const TABLE: u64 = 1;
const FLUSH: u64 = 1;

/// CPU 0 unmaps the last page of a table. CPU 1 runs another thread, which accesses that page and takes a TLB miss.
#[derive(Debug)]
pub(crate) struct Refill {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl Refill {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .software_refill()
            .tags(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1)
            .must_free_table(TABLE);
        machine.runs(|machine| Self { variant, machine, mm: Mm::new(2, 1, 0b11), calls: CrossCall::new(2) })
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        self.shoot_down();
        hw::free_frame(1);
        sync::note("its table is empty");
        self.machine.tables.root(SPACE, 0).swap(0, AcqRel);
        if self.variant == Variant::Fixed {
            // The answer also says that no miss handler is on its way to the table.
            self.shoot_down();
        }
        hw::free_table(TABLE);
        sync::retire(self.machine.tables.page(TABLE));
    }

    fn shoot_down(&self) {
        self.calls.call(0, self.mm.members(), FLUSH);
        hw::flush_page(TAG, 0, WalkCache::Drop);
    }

    fn miss(&self) {
        sync::note("TLB miss on page 0");
        let on = sync::irq_save();
        let table = self.machine.tables.root(SPACE, 0).load(Acquire);
        if table != 0 {
            let value = self.machine.tables.slot(table, 0).load(Relaxed);
            if value != 0 {
                hw::insert(TAG, 0, value);
            }
        }
        sync::irq_restore(on);
    }
}

impl Program for Refill {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.miss() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }
}
