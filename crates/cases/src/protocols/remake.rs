//! A valid entry is replaced by another that a TLB may not hold beside it. The cases share this code; kernels differ in
//! whether they break the entry first.
//!
//! CPU 0 replaces the entry, in the kernel. A thread of the space runs on CPU 1.

use core::sync::atomic::Ordering::{Relaxed, Release};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

const SPACE: usize = 0;
const TAG: u8 = 0;
const OLD: u64 = 1;
const NEW: u64 = 2;

#[derive(Debug)]
pub(crate) struct Remake {
    machine: Machine,
    words: &'static str,
    breaks_first: bool,
}

impl Remake {
    /// Words say what the replacement is for.
    pub(crate) fn model(words: &'static str, breaks_first: bool) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .translation(1, Some(SPACE), true)
            .conflict(OLD, NEW)
            .map(SPACE, 0, OLD)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, true);
        machine.runs(|machine| Self { machine, words, breaks_first })
    }

    fn flush() {
        hw::broadcast(Whose::Tag(TAG), Which::Page(0, WalkCache::Keep));
    }
}

impl Program for Remake {
    fn main(&self, cpu: usize) {
        if cpu != 0 {
            return;
        }
        sync::note(self.words);
        let entry = self.machine.tables.leaf(SPACE, 0);
        if self.breaks_first {
            entry.swap(0, Relaxed);
            Self::flush();
        }
        entry.store(NEW, Release);
        Self::flush();
    }
}
