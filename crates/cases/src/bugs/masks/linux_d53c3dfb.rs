//! exec reads the space that it borrows, is preempted, and drops a reference that the scheduler has dropped already.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-d53c3dfb-exec-activate",
    id: "A5",
    source: "d53c3dfb23c4",
    year: 2020,
    title: "mm: fix exec activate_mm vs TLB shootdown and lazy tlb switching race",
    rules: &[5, 10],
    about: "exec by a kernel thread reads which space it borrows, is preempted, and comes back borrowing another one: it \
            drops the reference to the first a second time.",
    ends: "CPU 0 has the root of space A loaded, which was freed (SD-10)",
    engine: "lazy-vs-final-drop",
    argued: &[(
        "free root A",
        "the first space keeps the references of its own threads, which only the bug gives away",
    )],
    ..Bug::race(Memory::Tso, Exec::model)
};

const FIRST: usize = 0;
const SECOND: usize = 1;
const NEW: usize = 2;
const TAG: u8 = 0;
const TICK: u8 = 0;

/// One CPU. A kernel thread, lazy on the first space, turns into a user process by exec. It may be preempted once, by
/// a user thread of the second space. Afterwards a user thread of the first space runs again.
#[derive(Debug)]
pub(crate) struct Exec {
    variant: Variant,
    /// Structure references: one by each space's users, one by each thread that is lazy on it.
    counts: [Word; 3],
    /// Space on which the thread that executes is.
    active: Word,
}

impl Exec {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1).spaces(3, 1).start(0, FIRST, TAG, false);
        machine.runs(|_| Self {
            variant,
            counts: [Word::new("count.first", 2), Word::new("count.second", 1), Word::new("count.new", 1)],
            active: Word::new("thread.active_mm", FIRST as u64),
        })
    }

    fn put(&self, space: usize) {
        if self.counts[space].fetch_sub(1, AcqRel) == 1 {
            hw::free_root(space);
        }
    }

    fn exec(&self) {
        sync::note("exec by a kernel thread");
        let old = match self.variant {
            Variant::Broken => {
                let old = self.active.load(Relaxed);
                self.activate();
                old
            }
            _ => {
                let on = sync::irq_save();
                let old = self.active.load(Relaxed);
                self.activate();
                sync::irq_restore(on);
                old
            }
        };
        self.put(old as usize);
    }

    fn activate(&self) {
        self.active.store(NEW as u64, Relaxed);
        hw::install(Some(NEW), TAG, Install::FlushAll);
    }

    /// The scheduler runs a user thread of the second space, then goes back. A thread that was lazy is then lazy on
    /// the second space.
    fn preempt(&self) {
        let before = self.active.load(Relaxed) as usize;
        hw::install(Some(SECOND), TAG, Install::FlushAll);
        if before == NEW {
            self.activate();
        } else {
            self.put(before);
            self.counts[SECOND].fetch_add(1, AcqRel);
            self.active.store(SECOND as u64, Relaxed);
        }
    }
}

impl Program for Exec {
    fn main(&self, _cpu: usize) {
        self.exec();
        sync::irq_save();
        sync::note("switch to a user thread of the first space");
        hw::install(Some(FIRST), TAG, Install::FlushAll);
        hw::user(true);
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (0, TICK), "there is no other line");
        self.preempt();
    }

    fn pending_at_start(&self, _cpu: usize) -> u32 {
        1 << TICK
    }
}
