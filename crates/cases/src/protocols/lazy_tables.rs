//! Lazy CPUs and page-table pages: a CPU that is lazy on a space has its root loaded, so its walker may follow cached
//! upper entries at any time. The cases share this code; kernels differ in what a flush asks of lazy CPUs.
//!
//! CPU 0 unmaps a region and frees its page table. CPU 1 runs another thread of the space, goes lazy, and comes back.

use super::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program};

/// What a flush does about a lazy CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lazy {
    /// Nothing: a CPU leaves the mask when it goes lazy.
    Unlisted,
    /// Nothing: it stays in the mask but is skipped.
    Skipped,
    /// Makes it leave the space if the flush says that it frees tables; otherwise skips it.
    LeavesForTables,
    /// Makes it leave the space.
    Leaves,
}

/// What the caller of a flush says that it will free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// Only pages.
    Pages,
    /// Page tables, too.
    PageTables,
}

/// What a kernel does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) lazy: Lazy,
    pub(crate) says: Says,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const CATCH_UP: u64 = 1;
const LEAVE: u64 = 2;
const OTHER: usize = 1;

/// What CPU 1 keeps about itself: whether it is lazy, whether it has the root loaded, the last flush it took part in.
#[derive(Debug)]
struct Cpu {
    lazy: Word,
    loaded: Word,
    seen: Word,
}

#[derive(Debug)]
pub(crate) struct LazyTables {
    policy: Policy,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// Number of flushes of the space.
    generation: Word,
    cpu1: Cpu,
}

impl LazyTables {
    pub(crate) fn model(policy: Policy) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(OTHER, SPACE, TAG, true)
            .must_free_frame(1)
            .must_free_table(1);
        machine.runs(|machine| Self {
            policy,
            machine,
            mm: Mm::new(2, 1, 0b11),
            calls: CrossCall::new(2),
            generation: Word::new("mm.generation", 0),
            cpu1: Cpu {
                lazy: Word::new("cpu1.is_lazy", 0),
                loaded: Word::new("cpu1.loaded", 1),
                seen: Word::new("cpu1.seen", 0),
            },
        })
    }

    fn unmap(&self) {
        sync::note("unmap page 0 and its table");
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        self.machine.tables.root(SPACE, 0).swap(0, AcqRel);
        self.generation.fetch_add(1, AcqRel);
        self.flush_others();
        hw::flush_tag(TAG);
        hw::free_frame(1);
        hw::free_table(1);
    }

    fn flush_others(&self) {
        if self.mm.members() & 1 << OTHER == 0 {
            return;
        }
        let leaves = match self.policy.lazy {
            Lazy::Unlisted | Lazy::Skipped => false,
            Lazy::LeavesForTables => self.policy.says == Says::PageTables,
            Lazy::Leaves => true,
        };
        if leaves {
            self.calls.call(0, 1 << OTHER, LEAVE);
        } else if self.policy.lazy == Lazy::Unlisted || self.cpu1.lazy.load(Acquire) == 0 {
            self.calls.call(0, 1 << OTHER, CATCH_UP);
        }
    }

    fn go_lazy_and_back(&self) {
        sync::note("run a kernel thread");
        hw::user(false);
        self.cpu1.lazy.store(1, Relaxed);
        if self.policy.lazy == Lazy::Unlisted {
            self.mm.leave(OTHER);
        }
        sync::fence(SeqCst);
        sync::note("back to the user thread");
        let on = sync::irq_save();
        self.cpu1.lazy.store(0, Relaxed);
        if self.cpu1.loaded.load(Relaxed) == 0 || self.policy.lazy == Lazy::Unlisted {
            self.mm.join(OTHER);
        }
        sync::fence(SeqCst);
        let generation = self.generation.load(Acquire);
        if self.cpu1.loaded.load(Relaxed) == 0 || self.cpu1.seen.load(Relaxed) != generation {
            self.cpu1.loaded.store(1, Relaxed);
            self.cpu1.seen.store(generation, Relaxed);
            hw::install(Some(SPACE), TAG, Install::FlushTag);
        }
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }

    fn catch_up(&self) {
        if self.cpu1.loaded.load(Relaxed) == 0 {
            return;
        }
        let generation = self.generation.load(Acquire);
        if self.cpu1.seen.load(Relaxed) != generation {
            hw::flush_tag(TAG);
            self.cpu1.seen.store(generation, Relaxed);
        }
    }

    /// Leaves the space if the CPU is lazy; otherwise it may have come back in the meantime, and catches up.
    fn leave(&self) {
        if self.cpu1.lazy.load(Relaxed) == 0 {
            return self.catch_up();
        }
        hw::install(None, TAG, Install::FlushTag);
        self.cpu1.loaded.store(0, Relaxed);
        self.mm.leave(OTHER);
    }
}

impl Program for LazyTables {
    fn main(&self, cpu: usize) {
        if cpu == OTHER { self.go_lazy_and_back() } else { self.unmap() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (OTHER, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |what| if what == LEAVE { self.leave() } else { self.catch_up() });
    }
}
