//! One of four ways to flush forgets the CPUs that will come back.

use crate::bugs::Bug;
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "mushroom-4fea2002-hypercall",
    id: "G24",
    source: "4fea2002df11",
    year: 2026,
    title: "remember to flush TLB on other APs",
    kernel: "Mushroom",
    arch: "x86 (Hyper-V)",
    rules: &[5, 8],
    about: "A flush by hypercall names the CPUs that run the space; those that hold it under its PCID \
            from earlier are not told, nor noted for their return.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "lazy-return",
    ..Bug::race(Memory::Tso, Hypercall::model)
};

const A: usize = 0;
const B: usize = 1;
const TAG_A: u8 = 1;
const TAG_B: u8 = 2;

/// CPU 0 and CPU 2 run space A. CPU 1 has run it, runs B, and comes back.
#[derive(Debug)]
pub(crate) struct Hypercall {
    variant: Variant,
    machine: Machine,
    lock: Lock,
    /// CPUs that run the space, as bits.
    active: Word,
    /// CPUs that must flush before they run it again.
    needs_flush: Word,
}

impl Hypercall {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(3)
            .spaces(2, 1)
            .tags(3)
            .own_page(A, 0, 1)
            .start(0, A, TAG_A, false)
            .start(1, B, TAG_B, false)
            .start(2, A, TAG_A, true)
            .cached(1, TAG_A, 0, 1)
            .must_free_frame(1);
        let (active, needs_flush) = (Word::new("flush.active", 0b101), Word::new("flush.needs_flush", 0));
        machine.runs(|machine| Self { variant, machine, lock: Lock::new("flush.held"), active, needs_flush })
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(A, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        self.lock.lock();
        let active = self.active.load(Relaxed);
        if self.variant == Variant::Fixed {
            // All that have used the space, but this CPU.
            self.needs_flush.store(0b110, Relaxed);
        }
        self.lock.unlock();
        for cpu in (1..3).filter(|cpu| active >> cpu & 1 != 0) {
            hw::flush_on(cpu, Whose::Tag(TAG_A), Which::Page(0, WalkCache::Drop));
        }
        hw::flush_page(TAG_A, 0, WalkCache::Drop);
        hw::free_frame(1);
    }

    fn come_back(&self, cpu: usize) {
        sync::note("run space A again");
        self.lock.lock();
        self.active.fetch_or(1 << cpu, Relaxed);
        let due = self.needs_flush.fetch_and(!(1 << cpu), Relaxed) >> cpu & 1 != 0;
        self.lock.unlock();
        hw::install(Some(A), TAG_A, if due { Install::FlushTag } else { Install::Keep });
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Hypercall {
    fn main(&self, cpu: usize) {
        match cpu {
            0 => self.unmap(),
            1 => self.come_back(cpu),
            _ => {}
        }
    }
}
