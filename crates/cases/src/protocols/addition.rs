//! A page is mapped where none is mapped now, by a CPU that has not been told yet that the old one is gone.

use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program};

const SPACE: usize = 0;
const TAG: u8 = 0;
const SHOOTDOWN: u8 = 0;
const NEW: u64 = 2;

/// Two threads of the program. CPU 0 unmaps a page; CPU 1, in the kernel with interrupts off, maps another there and
/// writes to it.
#[derive(Debug)]
pub(crate) struct Addition {
    /// Whether mapping flushes where there was no page, too.
    flushes_always: bool,
    machine: Machine,
}

impl Addition {
    pub(crate) fn model(flushes_always: bool) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .translation(2, Some(SPACE), true)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, false)
            .must_free_frame(1);
        machine.runs(|machine| Self { flushes_always, machine })
    }

    /// Does not wait: the CPU that serves the shootdown last gives the frame back.
    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_page(TAG, 0, WalkCache::Drop);
        sync::raise(1, SHOOTDOWN);
    }

    fn map(&self) {
        sync::note("map a new page 0, if there is none");
        let on = sync::irq_save();
        let old = match self.machine.tables.leaf(SPACE, 0).compare_exchange(0, NEW, AcqRel, Relaxed) {
            Ok(old) => old,
            Err(_) => return sync::irq_restore(on),
        };
        if self.flushes_always || old != 0 {
            hw::flush_page(TAG, 0, WalkCache::Drop);
        }
        // Page 0 leads to the new frame from now on.
        hw::revoke(1);
        hw::user(true);
        hw::touch(0);
        hw::user(false);
        sync::irq_restore(on);
    }
}

impl Program for Addition {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.map() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, SHOOTDOWN), "only CPU 0 asks");
        hw::flush_page(TAG, 0, WalkCache::Drop);
        hw::free_frame(1);
    }
}
