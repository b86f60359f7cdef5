//! A large leaf is taken out, and a TLB holds it in pieces. The architecture lets a guest, or a caller, name one
//! address of the leaf; the owner of the pieces has to find them all. The cases share this code and differ in who that
//! owner is.
//!
//! CPU 0 takes the leaf out. The last CPU uses it: CPU 0 itself, or a device.

use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// Which pieces are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drops {
    /// The one of the address that was named.
    TheNamed,
    /// All pages of the leaf.
    TheLeaf,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const LEAF: u64 = 1;
const PAGES: usize = 2;

#[derive(Debug)]
pub(crate) struct LargeLeaf {
    machine: Machine,
    drops: Drops,
}

impl LargeLeaf {
    pub(crate) fn model(cpus: usize, drops: Drops) -> Model {
        let machine = Machine::builder(cpus)
            .large(1, Some(SPACE))
            .splintered_leaves()
            .map(SPACE, 0, LEAF)
            .start(cpus - 1, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self { machine, drops })
    }

    fn take_out(&self) {
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        let pages = if self.drops == Drops::TheNamed { 1 } else { PAGES };
        for page in 0..pages {
            hw::broadcast(Whose::Tag(TAG), Which::Page(page, WalkCache::Drop));
        }
        hw::free_frame(1);
    }
}

impl Program for LargeLeaf {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            sync::note("take the leaf of pages 0 and 1 out");
            self.take_out();
        }
    }
}
