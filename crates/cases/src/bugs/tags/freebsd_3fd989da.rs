//! A flush invalidates the other CPUs' generations only after it has chosen the CPUs to interrupt.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "freebsd-3fd989da-pcid-generation",
    id: "C19",
    source: "3fd989da9118 (FreeBSD-EN-22:04.pcid)",
    year: 2022,
    title: "amd64 pmap: fix PCID mode invalidations",
    kernel: "FreeBSD",
    arch: "x86",
    rules: &[4, 5],
    about: "A flush clears other CPUs' generations after it has looked which are active; one that activates in \
            between keeps stale translations.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "warm-tags",
    ..Bug::race(Memory::Tso, Activate::model)
};

const SPACE: usize = 0;
const TAG: u8 = 1;
const FLUSH: u64 = 1;

/// CPU 0 runs a space and copies a page of it on write. CPU 1 ran it before and switches to it again.
#[derive(Debug)]
pub(crate) struct Activate {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// CPU 1's generation of the space: 0 says that its translations are stale.
    generation: Word,
}

impl Activate {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .tags(2)
            .own_page(SPACE, 0, 1)
            .translation(2, Some(SPACE), true)
            .start(0, SPACE, TAG, true)
            .cached(1, TAG, 0, 1)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            mm: Mm::new(2, 1, 0b01),
            calls: CrossCall::new(2),
            generation: Word::new("pmap.pcids.generation1", 1),
        })
    }

    fn copy_on_write(&self) {
        sync::note("copy page 0 on write");
        self.machine.tables.leaf(SPACE, 0).store(2, Relaxed);
        if self.variant == Variant::Fixed {
            self.generation.store(0, Relaxed);
        }
        sync::fence(SeqCst);
        self.calls.call(0, self.mm.members(), FLUSH);
        if self.variant == Variant::Broken {
            self.generation.store(0, Relaxed);
        }
        hw::flush_page(TAG, 0, WalkCache::Drop);
        hw::free_frame(1);
    }

    fn activate(&self, cpu: usize) {
        sync::note("activate the space");
        let on = sync::irq_save();
        self.mm.join(cpu);
        // The locked instruction before is a full barrier.
        sync::fence(SeqCst);
        let before = self.generation.swap(1, AcqRel);
        let how = if before == 0 { Install::FlushTag } else { Install::Keep };
        hw::install(Some(SPACE), TAG, how);
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Activate {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.copy_on_write() } else { self.activate(cpu) }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("pmap", &self.mm);
    }
}
