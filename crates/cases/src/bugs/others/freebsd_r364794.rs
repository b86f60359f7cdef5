//! The interrupt of a rendezvous overtakes the store that resets its counter.

use crate::bugs::{Bug, Needs};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use shootdown_explore::Interrupts;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "freebsd-r364794-rendezvous-reset",
    id: "G57",
    source: "r364794",
    year: 2020,
    title: "arm64: Make local stores observable before sending IPIs",
    kernel: "FreeBSD",
    arch: "arm64",
    rules: &[6, 11],
    about: "A rendezvous sets its counter of waiters to zero and interrupts the others at once; a target counts itself \
            before the zero is visible, its step is lost, and all wait for ever.",
    ends: "no CPU can go on: CPU 0 waits for rendezvous.waiters to change from 0x1; CPU 1 waits for rendezvous.waiters to change from 0x1",
    engine: "aarch64-unmap-for-another",
    // A store that waits in a store buffer is enough, where an interrupt may overtake it.
    needs: Needs::StoreBuffer,
    ..Bug::weak(Rendezvous::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const IPI: u8 = 0;
/// CPUs that meet.
const CPUS: u64 = 2;

/// CPU 0 clears an entry and calls all CPUs together, each of which flushes; the counter has what the last rendezvous
/// left.
#[derive(Debug)]
pub(crate) struct Rendezvous {
    variant: Variant,
    machine: Machine,
    waiters: Word,
    done: Word,
}

impl Rendezvous {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            waiters: Word::new("rendezvous.waiters", CPUS),
            done: Word::new("rendezvous.done.done", 0),
        })
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Release);
        let on = sync::irq_save();
        sync::note("rendezvous");
        self.waiters.store(0, Release);
        if self.variant == Variant::Fixed {
            hw::dsb();
        }
        sync::raise(1, IPI);
        self.act();
        sync::wait_until(|| self.done.load(Acquire) == CPUS);
        sync::irq_restore(on);
        hw::free_frame(1);
    }

    /// What each CPU does: counts itself, waits until all are there, flushes, and says so.
    fn act(&self) {
        self.waiters.fetch_add(1, AcqRel);
        sync::wait_until(|| self.waiters.load(Acquire) == CPUS);
        hw::flush_page(TAG, 0, WalkCache::Drop);
        self.done.fetch_add(1, AcqRel);
    }
}

impl Program for Rendezvous {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, IPI), "only CPU 0 calls");
        self.act();
    }

    fn interrupts(&self) -> Interrupts {
        Interrupts::Overtake
    }
}
