//! A page is mapped where there was none, and then used. Hardware that keeps "nothing is here" may fault on it until it
//! has flushed. The cases share this code; kernels differ in which CPUs use the page and which they flush.
//!
//! CPU 0 maps the page and uses it. A page of the kernel is used on CPU 1, too, once CPU 0 has told it.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// Whose page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// A program's, on one CPU.
    User,
    /// The kernel's.
    Kernel,
}

const SPACE: usize = 0;
const TAG: u8 = 0;

#[derive(Debug)]
pub(crate) struct FreshPage {
    machine: Machine,
    page: Page,
    /// Whether all CPUs are flushed after the page is mapped.
    flushes: bool,
    told: Word,
}

impl FreshPage {
    pub(crate) fn model(page: Page, flushes: bool) -> Model {
        let cpus = if page == Page::User { 1 } else { 2 };
        let machine = Machine::builder(cpus)
            .kernel_pages(1)
            .translation(1, None, true)
            .link(SPACE, 0)
            .start(0, SPACE, TAG, false)
            .caches_absent();
        machine.runs(|machine| Self { machine, page, flushes, told: Word::new("kernel.told", 0) })
    }

    fn map(&self) {
        let (entry, whose) = match self.page {
            Page::User => (self.machine.tables.leaf(SPACE, 0), Whose::Tag(TAG)),
            Page::Kernel => (self.machine.tables.kernel(0), Whose::Kernel),
        };
        entry.store(1, Relaxed);
        sync::fence(SeqCst);
        if self.flushes {
            hw::broadcast(whose, Which::Page(0, WalkCache::Keep));
        }
        self.told.store(1, Release);
    }

    fn use_it(&self) {
        match self.page {
            Page::User => {
                hw::user(true);
                hw::reach(0);
            }
            Page::Kernel => hw::reach_kernel(0),
        }
    }
}

impl Program for FreshPage {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            sync::note("map page 0");
            self.map();
        } else {
            sync::wait_until(|| self.told.load(Acquire) != 0);
        }
        self.use_it();
    }
}
