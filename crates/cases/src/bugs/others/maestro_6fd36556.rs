//! A CPU works in another process's space for a while and is not among those that are told of changes.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, Registry, sync};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "maestro-6fd36556-temporary-switch",
    id: "G18",
    source: "6fd36556",
    year: 2026,
    title: "fix: TLB shootdown issue",
    kernel: "Maestro",
    arch: "x86",
    rules: &[1, 2],
    about: "A temporary switch to another process's space loads its root without entering the bitmap of CPUs that \
            shootdowns go to.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "temporary-vs-exit",
    argued: &[(
        "maestro_6fd36556.rs: flush page 0",
        "the handler is that of every shootdown; here interrupts are off while CPU 1 has the space",
    )],
    // The bit is set by a locked instruction, which is a full barrier there and nowhere else.
    fixed_under: Memory::Pso,
    ..Bug::race(Memory::Tso, Switch::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const FLUSH: u64 = 1;

/// CPU 0 runs a process, which unmaps a page. CPU 1 switches to that process's space for a moment, to read from it.
#[derive(Debug)]
pub(crate) struct Switch {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl Switch {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).own_page(SPACE, 0, 1).start(0, SPACE, TAG, true).must_free_frame(1);
        machine.runs(|machine| Self { variant, machine, mm: Mm::new(1, 1, 0b01), calls: CrossCall::new(2) })
    }

    fn unmap(&self) {
        sync::note("munmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        self.calls.call(0, self.mm.members(), FLUSH);
        hw::flush_page(TAG, 0, WalkCache::Drop);
        hw::free_frame(1);
    }

    fn read_from(&self, cpu: usize) {
        sync::note("switch to the other process's space");
        let on = sync::irq_save();
        if self.variant == Variant::Fixed {
            self.mm.join(cpu);
        }
        hw::install(Some(SPACE), TAG, Install::FlushAll);
        hw::user(true);
        hw::touch(0);
        hw::user(false);
        sync::note("and back");
        hw::install(None, TAG, Install::FlushAll);
        if self.variant == Variant::Fixed {
            self.mm.leave(cpu);
        }
        sync::irq_restore(on);
    }
}

impl Program for Switch {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.read_from(cpu) }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("space", &self.mm);
    }
}
