//! A kernel thread announces the space it is about to borrow before hardware has switched; a flush that comes in
//! between flushes the wrong tag and is believed.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-38cf307c-kthread-use-mm",
    id: "A4",
    source: "38cf307c1f20",
    year: 2020,
    title: "mm: fix kthread_use_mm() vs TLB invalidate",
    arch: "generic (alpha, ia64, xtensa)",
    rules: &[5, 6],
    about: "A flush request that arrives between `active_mm = mm` and the hardware's switch flushes the tag of the old \
            space and counts as served.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in",
    ..Bug::race(Memory::Pso, UseMm::model)
};

const BORROWED: usize = 0;
const OLD: usize = 1;
const FLUSH: u64 = 1;
const THREAD: usize = 1;

/// A tag per space, as each of these machines gives per CPU.
fn tag(space: usize) -> u8 {
    space as u8 + 1
}

/// What CPU 1 keeps about itself.
#[derive(Debug)]
struct Thread {
    /// Space that the CPU is said to be on, and the one that it has loaded.
    active: Word,
    loaded: Word,
    /// Whether what the CPU holds of the borrowed space is to be flushed when it is next switched to.
    stale: Word,
}

/// CPU 0 owns the borrowed space and unmaps a page. CPU 1 ran it before, is lazy on another one now, and runs a kernel
/// thread that borrows it.
#[derive(Debug)]
pub(crate) struct UseMm {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    thread: Thread,
}

impl UseMm {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .spaces(2, 1)
            .tags(3)
            .own_page(BORROWED, 0, 1)
            .own_page(OLD, 0, 2)
            .start(0, BORROWED, tag(BORROWED), true)
            .start(THREAD, OLD, tag(OLD), false)
            .cached(THREAD, tag(BORROWED), 0, 1)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            mm: Mm::new(1, 2, 0b11),
            calls: CrossCall::new(2),
            thread: Thread {
                active: Word::new("thread.active_mm", OLD as u64),
                loaded: Word::new("thread.loaded", OLD as u64),
                stale: Word::new("thread.stale", 0),
            },
        })
    }

    fn unmap(&self) {
        sync::note("munmap page 0");
        self.machine.tables.leaf(BORROWED, 0).swap(0, AcqRel);
        sync::fence(SeqCst);
        self.calls.call(0, self.mm.members(), FLUSH);
        hw::flush_page(tag(BORROWED), 0, WalkCache::Drop);
        hw::free_frame(1);
    }

    fn borrow(&self) {
        sync::note("kthread_use_mm");
        if !self.mm.upgrade() {
            return;
        }
        match self.variant {
            Variant::Broken => {
                self.thread.active.store(BORROWED as u64, Relaxed);
                let on = sync::irq_save();
                self.switch();
                sync::irq_restore(on);
            }
            _ => {
                let on = sync::irq_save();
                self.thread.active.store(BORROWED as u64, Relaxed);
                self.switch();
                sync::irq_restore(on);
            }
        }
        sync::note("work on user memory");
        hw::user(true);
        hw::touch(0);
        hw::user(false);
        self.mm.put_user();
    }

    fn switch(&self) {
        self.mm.join(THREAD);
        sync::fence(SeqCst);
        let how = if self.thread.stale.swap(0, AcqRel) != 0 { Install::FlushTag } else { Install::Keep };
        self.thread.loaded.store(BORROWED as u64, Relaxed);
        hw::install(Some(BORROWED), tag(BORROWED), how);
    }

    /// Flushes what is loaded if that is said to be the space; otherwise notes that a switch to it must flush.
    fn flush_request(&self) {
        if self.thread.active.load(Relaxed) == BORROWED as u64 {
            hw::flush_tag(tag(self.thread.loaded.load(Relaxed) as usize));
        } else {
            self.thread.stale.store(1, Relaxed);
        }
    }
}

impl Program for UseMm {
    fn main(&self, cpu: usize) {
        if cpu == THREAD { self.borrow() } else { self.unmap() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (THREAD, CROSS_CALL), "only the owner calls");
        self.calls.serve(cpu, |_| self.flush_request());
    }
}
