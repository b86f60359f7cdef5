//! The outsider: code that knows of an address space without being its user looks into it while the last user exits.
//! The cases share this code; kernels' subsystems differ in what the outsider holds, and in what it asks before it
//! looks.
//!
//! CPU 0 runs the last user, which exits: areas, page table and frame go with the last user reference, the structure
//! and its root with the last structure reference. CPU 1 is the outsider.

use super::{Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use shootdown_explore::Registry;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// What the outsider has of the space when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// A structure reference.
    Structure,
    /// A pointer that nobody counts.
    Pointer,
    /// A task, whose field points to the space for as long as the task lives.
    Task,
}

/// What the outsider asks before it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Nothing.
    Nothing,
    /// For a user reference, and gives up without one.
    UserReference,
    /// Under the lock of the areas, whether there are users left.
    AnyUsers,
}

/// What the outsider looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The structure itself.
    Structure,
    /// The areas, under their lock.
    Areas,
    /// The areas, under their lock, to write-protect the page.
    Protect,
}

/// What outsider and exit do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) name: &'static str,
    pub(crate) hold: Hold,
    pub(crate) permit: Permit,
    pub(crate) look: Look,
    /// Whether exit tears the areas down under their lock.
    pub(crate) exit_locks: bool,
    /// Whether exit resets the pointer to the areas.
    pub(crate) exit_resets: bool,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const WRITABLE: u64 = 1;
const PROTECTED: u64 = 2;

/// The structure; its memory goes with the last structure reference.
#[derive(Debug)]
struct Structure {
    mm: Mm,
    mmap_lock: Lock,
    /// Points to the areas.
    areas: Word,
    /// Something that a driver keeps here.
    context: Word,
}

/// The areas of the space: memory that dies with its mappings.
#[derive(Debug)]
struct Areas {
    first: Word,
}

/// The exiting task, as others see it.
#[derive(Debug)]
struct Task {
    lock: Lock,
    mm: Word,
}

#[derive(Debug)]
pub(crate) struct Outsider {
    machine: Machine,
    policy: Policy,
    space: Structure,
    areas: Areas,
    task: Task,
}

impl Outsider {
    pub(crate) fn model(policy: Policy) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .translation(1, Some(SPACE), false)
            .map(SPACE, 0, WRITABLE)
            .start(0, SPACE, TAG, true)
            .must_free_frame(1)
            .must_free_table(1)
            .must_free_root(SPACE);
        let count = if policy.hold == Hold::Structure { 2 } else { 1 };
        machine.runs(|machine| Self {
            machine,
            policy,
            space: Structure {
                mm: Mm::new(1, count, 0b01),
                mmap_lock: Lock::new("lock.held"),
                areas: Word::new("areas", 1),
                context: Word::new("context", 0),
            },
            areas: Areas { first: Word::new("first", 1) },
            task: Task { lock: Lock::new("task.held"), mm: Word::new("task.mm", 1) },
        })
    }

    fn exit(&self) {
        sync::note("exit");
        hw::user(false);
        hw::install(None, TAG, Install::FlushTag);
        if self.policy.hold == Hold::Task {
            self.task.lock.lock();
            self.task.mm.store(0, Relaxed);
            self.task.lock.unlock();
        }
        self.put_user();
    }

    fn put_user(&self) {
        if !self.space.mm.put_user() {
            return;
        }
        sync::note("tear down");
        hw::teardown(SPACE);
        if self.policy.exit_locks {
            self.space.mmap_lock.lock();
        }
        sync::retire(&self.areas);
        if self.policy.exit_resets {
            self.space.areas.store(0, Relaxed);
        }
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        self.machine.tables.root(SPACE, 0).store(0, Relaxed);
        hw::broadcast(Whose::Space(SPACE), Which::All);
        hw::free_frame(1);
        hw::free_table(1);
        sync::retire(self.machine.tables.page(1));
        if self.policy.exit_locks {
            self.space.mmap_lock.unlock();
        }
        self.put_struct();
    }

    fn put_struct(&self) {
        if self.space.mm.put_struct() {
            hw::free_root(SPACE);
            sync::retire(&self.space);
        }
    }

    fn work(&self) {
        sync::note(self.policy.name);
        match (self.policy.hold, self.policy.permit) {
            (Hold::Task, Permit::UserReference) => {
                self.task.lock.lock();
                let got = self.task.mm.load(Relaxed) != 0 && self.space.mm.upgrade();
                self.task.lock.unlock();
                self.look_as_user(got);
            }
            (Hold::Task, _) => {
                if self.task.mm.load(Relaxed) != 0 {
                    self.look();
                }
            }
            (_, Permit::UserReference) => self.look_as_user(self.space.mm.upgrade()),
            _ => self.look(),
        }
        if self.policy.hold == Hold::Structure {
            sync::note("let go of the structure");
            self.put_struct();
        }
    }

    fn look_as_user(&self, got: bool) {
        if got {
            self.look();
            self.put_user();
        }
    }

    fn look(&self) {
        if self.policy.look == Look::Structure {
            self.space.context.store(0, Release);
            return;
        }
        self.space.mmap_lock.lock();
        let dead = self.policy.permit == Permit::AnyUsers && self.space.mm.users.load(Relaxed) == 0;
        if !dead && self.space.areas.load(Relaxed) != 0 && self.areas.first.load(Relaxed) != 0 {
            self.protect();
        }
        self.space.mmap_lock.unlock();
    }

    fn protect(&self) {
        if self.policy.look == Look::Protect {
            let leaf = self.machine.tables.leaf(SPACE, 0);
            let _ = leaf.compare_exchange(WRITABLE, PROTECTED, AcqRel, Relaxed);
            hw::broadcast(Whose::Space(SPACE), Which::Page(0, WalkCache::Keep));
        }
    }
}

impl Program for Outsider {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.exit() } else { self.work() }
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("mm", &self.space);
        registry.object("areas", &self.areas);
    }
}
