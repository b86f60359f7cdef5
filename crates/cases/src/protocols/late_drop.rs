//! The last reference in the wrong place: code that takes a reference for a moment may drop the last one, and must then
//! do all the work that comes with it, wherever it runs. The cases share this code; places differ.
//!
//! CPU 0 holds a reference for a moment. CPU 1 runs the owner, which exits meanwhile, and then the kernel's worker.
//! With an I/O that the teardown waits for there is a CPU 2, which completes it.

use super::{Lock, Mm};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program};

/// Where CPU 0 drops its reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Under a lock that tearing mappings down takes, too.
    UnderLock,
    /// Before it sleeps until it is told of the owner's death; what tells it is left for its own return to user mode.
    BeforeSleep,
    /// In the thread that has to free memory, without which the I/O that the teardown waits for cannot complete.
    Reaper,
    /// In an interrupt: a structure reference. The interrupted code may hold the lock that freeing the root takes.
    Interrupt,
}

/// The side that does what the last reference has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The one that drops it.
    Dropper,
    /// The kernel's worker, later.
    Worker,
}

/// Where and how the reference is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) place: Place,
    pub(crate) by: By,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const DROP: u8 = 0;

/// What the CPUs tell each other.
#[derive(Debug)]
struct Events {
    /// The worker has something to tear down.
    work: Word,
    /// It is torn down, by either side.
    gone: Word,
    /// The owner's death was told.
    told: Word,
    /// Memory was freed.
    memory: Word,
    /// The I/O is complete.
    io: Word,
}

#[derive(Debug)]
pub(crate) struct LateDrop {
    policy: Policy,
    mm: Mm,
    /// Protects what teardown edits.
    lock: Lock,
    events: Events,
}

impl LateDrop {
    pub(crate) fn model(policy: Policy) -> Model {
        let cpus = if policy.place == Place::Reaper { 3 } else { 2 };
        let machine = Machine::builder(cpus).start(1, SPACE, TAG, true).must_free_root(SPACE);
        let count = if policy.place == Place::Interrupt { 2 } else { 1 };
        let event = |name| Word::new(name, 0);
        machine.runs(|_| Self {
            policy,
            mm: Mm::new(1, count, 0b10),
            lock: Lock::new("lock.held"),
            events: Events {
                work: event("events.work"),
                gone: event("events.gone"),
                told: event("events.told"),
                memory: event("events.memory"),
                io: event("events.io"),
            },
        })
    }

    fn hold_for_a_moment(&self) {
        match self.policy.place {
            Place::UnderLock => {
                sync::note("reclaim: lock, notify");
                self.lock.lock();
                self.get_and_put();
                self.lock.unlock();
            }
            Place::BeforeSleep => {
                sync::note("send to the other process");
                let owed = self.get_and_put();
                sync::note("wait for reply or death");
                sync::wait_until(|| self.events.told.load(Acquire) != 0);
                if owed {
                    self.tell();
                }
            }
            Place::Reaper => {
                sync::note("reap the first victim");
                self.get_and_put();
                sync::note("reap the next victim");
                self.events.memory.store(1, Release);
            }
            Place::Interrupt => {
                sync::note("edit kernel mappings");
                self.lock.lock();
                self.lock.unlock();
            }
        }
    }

    /// Takes a user reference and drops it; returns whether to tell of the owner's death is left to this thread.
    fn get_and_put(&self) -> bool {
        if !self.mm.upgrade() || !self.mm.put_user() {
            return false;
        }
        match self.policy.by {
            By::Dropper => {
                self.tear_down();
                true
            }
            By::Worker => {
                self.events.work.store(1, Relaxed);
                false
            }
        }
    }

    fn exit(&self) {
        sync::note("exit");
        hw::user(false);
        hw::install(None, TAG, Install::FlushTag);
        if self.mm.put_user() {
            self.tear_down();
            self.tell();
        }
        if self.policy.by == By::Worker {
            sync::note("worker");
            let (work, gone) = (&self.events.work, &self.events.gone);
            sync::wait_until(|| work.load(Relaxed) != 0 || gone.load(Relaxed) != 0);
            if gone.load(Relaxed) == 0 {
                sync::demand(work.load(Relaxed) != 0, "the worker tears down what nobody has handed to it");
                self.late();
            }
        }
    }

    /// What the worker does.
    fn late(&self) {
        if self.policy.place == Place::Interrupt {
            self.free_root();
        } else {
            self.tear_down();
            self.tell();
        }
    }

    fn tear_down(&self) {
        sync::note("tear down");
        hw::teardown(SPACE);
        match self.policy.place {
            Place::UnderLock => {
                self.lock.lock();
                self.lock.unlock();
            }
            Place::Reaper => sync::wait_until(|| self.events.io.load(Acquire) != 0),
            Place::BeforeSleep | Place::Interrupt => {}
        }
        self.put_struct();
    }

    fn put_struct(&self) {
        if self.mm.put_struct() {
            self.free_root();
        }
    }

    fn free_root(&self) {
        if self.policy.place == Place::Interrupt {
            self.lock.lock();
            self.lock.unlock();
        }
        hw::free_root(SPACE);
        self.events.gone.store(1, Relaxed);
    }

    fn tell(&self) {
        self.events.told.store(1, Release);
    }

    fn complete_io(&self) {
        sync::note("I/O needs memory");
        sync::wait_until(|| self.events.memory.load(Acquire) != 0);
        self.events.io.store(1, Release);
    }

    /// Drops the structure reference that the interrupt came for.
    fn drop_in_interrupt(&self) {
        if self.policy.by == By::Dropper {
            return self.put_struct();
        }
        if self.mm.put_struct() {
            self.events.work.store(1, Relaxed);
        }
    }
}

impl Program for LateDrop {
    fn main(&self, cpu: usize) {
        match cpu {
            0 => self.hold_for_a_moment(),
            1 => self.exit(),
            _ => self.complete_io(),
        }
    }

    fn pending_at_start(&self, cpu: usize) -> u32 {
        u32::from(self.policy.place == Place::Interrupt && cpu == 0) << DROP
    }

    fn interrupt(&self, _cpu: usize, _line: u8) {
        self.drop_in_interrupt();
    }
}
