//! A CPU goes off line with a call in its queue that it has not run.

use crate::bugs::Bug;
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-8d056c48-offline-calls",
    id: "F3",
    source: "8d056c48e486",
    year: 2014,
    title: "CPU hotplug, smp: flush any pending IPI callbacks before CPU offline",
    rules: &[13],
    about: "A call is queued for a CPU that has its interrupts off, on its way off line; it dies with the call \
            in its queue, and its sender waits for ever.",
    ends: "no CPU can go on: CPU 0 waits for cpu1.queue to change from 0x1",
    engine: "hotplug-under-load",
    ..Bug::race(Memory::Tso, Offline::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const DYING: usize = 1;
const CALL: u8 = 0;

/// CPU 0 unmaps a page, has CPU 1 flush, and waits when it has done other work. CPU 1 goes off line.
#[derive(Debug)]
pub(crate) struct Offline {
    variant: Variant,
    machine: Machine,
    /// Held while a CPU sends calls, and while one is taken off line: then no CPU is in the middle of sending.
    hotplug: Lock,
    online: Word,
    /// Calls in the queue of CPU 1.
    queue: Word,
}

impl Offline {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(DYING, SPACE, TAG, false)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            hotplug: Lock::new("hotplug.held"),
            online: Word::new("cpus.online", 0b11),
            queue: Word::new("cpu1.queue", 0),
        })
    }

    fn unmap(&self) {
        sync::note("munmap page 0");
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        self.hotplug.lock();
        let called = self.online.load(Relaxed) >> DYING & 1 != 0;
        if called {
            self.queue.swap(1, AcqRel);
            sync::raise(DYING, CALL);
        }
        self.hotplug.unlock();
        hw::flush_page(TAG, 0, WalkCache::Drop);
        if called {
            sync::wait_until(|| self.queue.load(Acquire) == 0);
        }
        hw::free_frame(1);
    }

    fn go_offline(&self) {
        sync::note("go off line");
        sync::irq_save();
        self.hotplug.lock();
        self.online.fetch_and(!(1 << DYING), AcqRel);
        if self.variant == Variant::Fixed {
            sync::note("run what is queued");
            self.serve();
        }
        self.hotplug.unlock();
        hw::offline();
    }

    fn serve(&self) {
        if self.queue.load(Acquire) != 0 {
            hw::flush_tag(TAG);
            self.queue.store(0, Release);
        }
    }
}

impl Program for Offline {
    fn main(&self, cpu: usize) {
        if cpu == DYING { self.go_offline() } else { self.unmap() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (DYING, CALL), "nobody else is called");
        self.serve();
    }
}
