//! The half-built space: fork copies a space area by area; others find it before it is complete, and fork may fail
//! halfway and leave a hole. The cases share this code; kernels' subsystems differ in when they are told and in what
//! they ask.
//!
//! CPU 0 forks. CPU 1 finds the new space through a list that is not fork's, takes a user reference, and walks the
//! areas.

use super::{Lock, Mm};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use shootdown_explore::Registry;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, hw};

/// When the new space gets into the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// Before it is whole: as fork begins, or with its first area.
    Early,
    /// When fork has succeeded.
    AfterSuccess,
}

/// What others ask before they walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Whether there is a user reference to be had.
    Users,
    /// The same, and under the lock whether fork left the space unstable.
    Stable,
}

/// What fork and the others do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) name: &'static str,
    pub(crate) publish: Publish,
    pub(crate) ask: Ask,
}

const SPACE: usize = 0;
/// A copied area.
const AREA: u64 = 1;
/// What marks the place where a failed fork stopped copying; it points to nothing.
const HOLE: u64 = 2;

/// The new space.
#[derive(Debug)]
struct Child {
    mm: Mm,
    mmap_lock: Lock,
    unstable: Word,
    areas: [Word; 2],
}

#[derive(Debug)]
pub(crate) struct HalfBuilt {
    policy: Policy,
    child: Child,
    list: Word,
}

impl HalfBuilt {
    pub(crate) fn model(policy: Policy) -> Model {
        Machine::builder(2).must_free_root(SPACE).runs(|_| Self {
            policy,
            child: Child {
                mm: Mm::new(1, 1, 0),
                mmap_lock: Lock::new("lock.held"),
                unstable: Word::new("unstable", 0),
                areas: [const { Word::new("area", 0) }; 2],
            },
            list: Word::new("mmlist.list", 0),
        })
    }

    fn fork(&self) {
        sync::note("fork");
        let child = &self.child;
        child.mmap_lock.lock();
        child.areas[0].store(AREA, Relaxed);
        self.publish(Publish::Early);
        let fails = sync::choose(2) == 1;
        child.areas[1].store(if fails { HOLE } else { AREA }, Relaxed);
        if fails {
            child.unstable.store(1, Relaxed);
        }
        if !fails {
            self.publish(Publish::AfterSuccess);
        }
        child.mmap_lock.unlock();
        sync::note(if fails { "fork fails" } else { "the child exits" });
        self.put_user();
    }

    fn publish(&self, now: Publish) {
        if self.policy.publish == now {
            self.list.store(1, Release);
        }
    }

    fn put_user(&self) {
        if !self.child.mm.put_user() {
            return;
        }
        hw::teardown(SPACE);
        self.child.mmap_lock.lock();
        for area in &self.child.areas {
            area.store(0, Relaxed);
        }
        self.child.mmap_lock.unlock();
        hw::free_root(SPACE);
    }

    fn visit(&self) {
        sync::note(self.policy.name);
        if self.list.load(Acquire) == 0 || !self.child.mm.upgrade() {
            return;
        }
        self.child.mmap_lock.lock();
        let unstable = self.policy.ask == Ask::Stable && self.child.unstable.load(Relaxed) != 0;
        if !unstable {
            for area in &self.child.areas {
                sync::demand(
                    area.load(Relaxed) != HOLE,
                    "follows what a failed fork left in place of an area",
                );
            }
        }
        self.child.mmap_lock.unlock();
        self.put_user();
    }
}

impl Program for HalfBuilt {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.fork() } else { self.visit() }
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("child", &self.child);
        registry.array("child.area", &self.child.areas);
    }
}
