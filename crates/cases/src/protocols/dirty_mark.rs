//! A page is protected against writing while hardware marks its entry as dirty, and is then dropped if the entry says
//! that it is clean. The cases share this code; kernels differ in how they change the entry.
//!
//! CPU 0 protects the page and reclaims it. If there is a CPU 1, a thread writes there meanwhile; otherwise one has
//! written on CPU 0 before.

use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// How the entry is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protect {
    /// By a value that says "clean".
    Forgets,
    /// By a load, and a store of what follows from it.
    LoadAndStore,
    /// By an exchange that fails if hardware comes between.
    Exchange,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const CLEAN: u64 = 1;
const DIRTY: u64 = 2;
const PROTECTED: u64 = 3;
const PROTECTED_DIRTY: u64 = 4;

#[derive(Debug)]
pub(crate) struct DirtyMark {
    machine: Machine,
    protect: Protect,
}

impl DirtyMark {
    pub(crate) fn model(cpus: usize, protect: Protect) -> Model {
        let machine = Machine::builder(cpus)
            .translation(1, Some(SPACE), true)
            .translation(1, Some(SPACE), true)
            .translation(1, Some(SPACE), false)
            .translation(1, Some(SPACE), false)
            .marks_dirty(CLEAN, DIRTY)
            .map(SPACE, 0, CLEAN);
        machine.runs(|machine| Self { machine, protect })
    }

    fn protect(&self) {
        let entry = self.machine.tables.leaf(SPACE, 0);
        sync::retry(|| {
            let seen = entry.load(Relaxed);
            let keeps = seen == DIRTY && self.protect != Protect::Forgets;
            let new = if keeps { PROTECTED_DIRTY } else { PROTECTED };
            if self.protect == Protect::Exchange {
                return entry.compare_exchange(seen, new, Relaxed, Relaxed).ok();
            }
            entry.store(new, Relaxed);
            Some(seen)
        });
        sync::fence(SeqCst);
        hw::broadcast(Whose::Tag(TAG), Which::Page(0, WalkCache::Keep));
    }

    fn reclaim(&self) {
        if self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel) == PROTECTED {
            hw::broadcast(Whose::Tag(TAG), Which::Page(0, WalkCache::Keep));
            hw::discard(1);
        }
    }
}

impl Program for DirtyMark {
    fn main(&self, cpu: usize) {
        if cpu == 1 || self.machine.cpus() == 1 {
            sync::note("write to page 0");
            self.machine.write(SPACE, 0);
        }
        if cpu == 0 {
            sync::note("protect page 0");
            self.protect();
            sync::note("reclaim it");
            self.reclaim();
        }
    }
}
