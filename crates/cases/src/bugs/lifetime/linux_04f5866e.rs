//! A core dump walks the areas without their lock, since all threads are stopped; but not all users are threads.

use crate::bugs::Bug;
use crate::protocols::{Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "linux-04f5866e-coredump-alone",
    id: "E10",
    source: "04f5866e41fb (CVE-2019-11599)",
    year: 2019,
    title: "coredump: fix race condition between mmget_not_zero()/get_task_mm() and core dumping",
    rules: &[9, 10],
    about: "A core dump walks the areas without their lock because it has stopped every thread; somebody with a user reference of \
            his own takes the lock and frees one.",
    ends: "use of area.next after its memory was given back",
    engine: "upgrade-vs-last-drop",
    ..Bug::race(Memory::Tso, CoreDump::model)
};

/// CPU 0 dumps the only program of the space; CPU 1 holds a structure reference and works on the areas.
#[derive(Debug)]
struct CoreDump {
    variant: Variant,
    space: Space,
    area: Area,
}

#[derive(Debug)]
struct Space {
    mm: Mm,
    mmap_lock: Lock,
    /// Whether a dump is going on.
    dumping: Word,
    /// Points to the area.
    first: Word,
}

#[derive(Debug)]
struct Area {
    next: Word,
}

impl CoreDump {
    fn model(variant: Variant) -> Model {
        let space = Space {
            mm: Mm::new(1, 2, 0b01),
            mmap_lock: Lock::new("mm.held"),
            dumping: Word::new("mm.dumping", 0),
            first: Word::new("mm.first", 1),
        };
        Machine::builder(2).runs(|_| Self { variant, space, area: Area { next: Word::new("next", 0) } })
    }

    fn dump(&self) {
        sync::note("stop all threads");
        self.space.mmap_lock.lock();
        self.space.dumping.store(1, Relaxed);
        self.space.mmap_lock.unlock();
        sync::note("dump the areas");
        if self.space.first.load(Relaxed) != 0 {
            self.area.next.load(Relaxed);
        }
        self.put_user();
    }

    fn change_areas(&self) {
        sync::note("a request from outside");
        if !self.space.mm.upgrade() {
            return;
        }
        self.space.mmap_lock.lock();
        let may = match self.variant {
            Variant::Broken => true,
            _ => self.space.dumping.load(Relaxed) == 0,
        };
        if may {
            self.unhook();
        }
        self.space.mmap_lock.unlock();
        self.put_user();
    }

    fn unhook(&self) {
        if self.space.first.swap(0, AcqRel) != 0 {
            sync::retire(&self.area);
        }
    }

    fn put_user(&self) {
        if self.space.mm.put_user() {
            hw::teardown(0);
        }
    }
}

impl Program for CoreDump {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.dump() } else { self.change_areas() }
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("area", &self.area);
    }
}
