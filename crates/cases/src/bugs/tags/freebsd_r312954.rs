//! Removing a superpage flushes its first address; small entries from before the promotion stay behind the others.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "freebsd-r312954-superpage-flush",
    id: "C20",
    source: "r312954",
    year: 2017,
    title: "Do not leave stale 4K TLB entries on pde (superpage) removal or protection change.",
    kernel: "FreeBSD",
    arch: "x86",
    rules: &[8, 14],
    about: "Removing a promoted superpage flushes only its first address; small entries from before the promotion \
            survive for all other pages.",
    ends: "CPU 0 can still use page 1 of space A -> frame 2, which was freed (SD-8)",
    engine: "two-flushers",
    ..Bug::race(Memory::Tso, Superpage::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
/// Pages of a superpage: 512 on real machines.
const PAGES: usize = 2;

/// Two pages were used one by one and promoted to a superpage since. Now the superpage is removed.
///
/// The superpage's own entry is left out of the model: a flush of any address inside drops it, and both variants do
/// that.
#[derive(Debug)]
pub(crate) struct Superpage {
    variant: Variant,
    entry: Word,
}

impl Superpage {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .translation(1, Some(SPACE), true)
            .translation(2, Some(SPACE), true)
            .start(0, SPACE, TAG, false)
            .cached(0, TAG, 0, 1)
            .cached(0, TAG, 1, 2)
            .must_free_frame(1)
            .must_free_frame(2);
        machine.runs(|_| Self { variant, entry: Word::new("directory.superpage", 1) })
    }

    fn flush(&self) {
        let pages = if self.variant == Variant::Broken { 1 } else { PAGES };
        for page in 0..pages {
            hw::flush_page(TAG, page, WalkCache::Drop);
        }
    }
}

impl Program for Superpage {
    fn main(&self, _: usize) {
        sync::note("remove the superpage");
        self.entry.store(0, Relaxed);
        sync::fence(SeqCst);
        self.flush();
        for page in 0..PAGES {
            hw::free_frame(page + 1);
        }
        sync::note("use the addresses again");
        hw::user(true);
        hw::touch(1);
    }
}
