//! fork links a new area to its file before the area's own lock is made.

use crate::bugs::Bug;
use crate::protocols::Lock;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-35e35178-fork-link-last",
    id: "E11d",
    source: "35e351780fa9 (CVE-2024-27022)",
    year: 2024,
    title: "fork: defer linking file vma until vma is fully initialized",
    rules: &[10],
    about: "fork hangs a new area into its file's tree and makes the area's own lock afterwards; a CPU that finds the area in between \
            goes on without a lock and releases the new one.",
    ends: "releases a lock of the area that it does not hold",
    engine: "upgrade-vs-last-drop",
    ..Bug::race(Memory::Tso, Fork::model)
};

/// CPU 0 forks; CPU 1 punches a hole into the file, and visits all areas that map it.
#[derive(Debug)]
struct Fork {
    variant: Variant,
    file: File,
    area: Area,
}

#[derive(Debug)]
struct File {
    tree_lock: Lock,
    /// Whether the new area hangs in the tree.
    linked: Word,
}

/// The new area; it begins as a copy of the parent's.
#[derive(Debug)]
struct Area {
    /// Which lock it points to.
    own_lock: Word,
    /// Whether the new lock is held.
    held: Word,
}

const NONE: u64 = 0;
const PARENTS: u64 = 1;
const NEW: u64 = 2;

impl Fork {
    fn model(variant: Variant) -> Model {
        Machine::builder(2).runs(|_| Self {
            variant,
            file: File { tree_lock: Lock::new("file.held"), linked: Word::new("file.linked", 0) },
            area: Area { own_lock: Word::new("area.own_lock", PARENTS), held: Word::new("area.held", 0) },
        })
    }

    fn fork(&self) {
        sync::note("fork");
        if self.variant == Variant::Broken {
            self.link();
        }
        self.area.own_lock.store(NONE, Relaxed);
        self.area.own_lock.store(NEW, Relaxed);
        if self.variant == Variant::Fixed {
            self.link();
        }
    }

    fn link(&self) {
        self.file.tree_lock.lock();
        self.file.linked.store(1, Relaxed);
        self.file.tree_lock.unlock();
    }

    fn punch_hole(&self) {
        sync::note("punch a hole into the file");
        self.file.tree_lock.lock();
        if self.file.linked.load(Relaxed) != 0 {
            self.visit();
        }
        self.file.tree_lock.unlock();
    }

    fn visit(&self) {
        if self.area.own_lock.load(Relaxed) == NEW {
            self.area.held.store(1, Relaxed);
        }
        sync::note("remove the pages");
        if self.area.own_lock.load(Relaxed) == NEW {
            sync::demand(
                self.area.held.load(Relaxed) == 1,
                "releases a lock of the area that it does not hold",
            );
            self.area.held.store(0, Relaxed);
        }
    }
}

impl Program for Fork {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.fork() } else { self.punch_hole() }
    }
}
