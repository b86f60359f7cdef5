//! Exit must be sure that no CPU has the dying root loaded: it asks CPUs whose state says that they have it to leave.
//! The cases share this code; the bugs differ in how long a CPU's state stays true.
//!
//! CPU 0 drops the last user reference of space A and frees its root. CPU 1 was lazy on A from the start, and is just
//! about to load another root.

use super::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program};

/// What CPU 1 does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    /// Its kernel thread turns into a user process, with interrupts on.
    Exec,
    /// Switches to a user thread of another space; the root load waits in a queue until the end of the switch.
    QueuedSwitch,
    /// Patches code through a temporary space, and goes back to the root that it had.
    Patch {
        /// Whether it leaves lazy mode first.
        leaves_first: bool,
    },
}

/// What a CPU does that is asked to let go and is on the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Leaves it: it must be lazy, or it would not have been asked.
    Leaves,
    /// Leaves it if it is lazy.
    LeavesIfLazy,
}

/// Where exit looks for CPUs that have the root loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// In the mask.
    AtMask,
    /// In the mask, and at the root that each CPU has really loaded.
    AtMaskAndRoots,
}

/// What a kernel does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) asked: Asked,
    pub(crate) looks: Looks,
    pub(crate) other: Other,
}

const DYING: usize = 0;
const NEXT: usize = 1;
/// What the words call the kernel's own root.
const KERNEL: u64 = 2;
const OTHER: usize = 1;
const TAG: u8 = 0;
const LET_GO: u64 = 1;

/// What CPU 1 says of itself.
#[derive(Debug)]
struct Cpu {
    /// Whether it runs a kernel thread on a user's root.
    lazy: Word,
    /// Space that it is on, as the scheduler sees it.
    active: Word,
    /// Space whose root is known to be loaded: written after the load is done.
    loaded: Word,
}

#[derive(Debug)]
pub(crate) struct LastExit {
    policy: Policy,
    mm: Mm,
    calls: CrossCall,
    cpu1: Cpu,
}

impl LastExit {
    pub(crate) fn model(policy: Policy) -> Model {
        let machine = Machine::builder(2).spaces(2, 1).start(OTHER, DYING, TAG, false).must_free_root(DYING);
        machine.runs(|_| Self {
            policy,
            mm: Mm::new(1, 1, 1 << OTHER),
            calls: CrossCall::new(2),
            cpu1: Cpu {
                lazy: Word::new("cpu1.is_lazy", 1),
                active: Word::new("cpu1.active", DYING as u64),
                loaded: Word::new("cpu1.loaded", DYING as u64),
            },
        })
    }

    fn exit(&self) {
        sync::note("exit of the last user");
        let mut targets = self.mm.members();
        if self.has_root_loaded() {
            targets |= 1 << OTHER;
        }
        self.calls.call(0, targets, LET_GO);
        hw::free_root(DYING);
    }

    fn let_go(&self) {
        let on_it = self.cpu1.active.load(Relaxed) == DYING as u64;
        if on_it && (self.policy.asked == Asked::Leaves || self.cpu1.lazy.load(Relaxed) != 0) {
            self.leave();
        }
        if self.has_root_loaded() {
            self.load(None);
        }
    }

    /// Whether CPU 1 is seen to have the root loaded.
    fn has_root_loaded(&self) -> bool {
        self.policy.looks == Looks::AtMaskAndRoots && self.cpu1.loaded.load(Relaxed) == DYING as u64
    }

    /// Goes from a space on which the CPU is lazy to the kernel's own root.
    fn leave(&self) {
        sync::demand(self.cpu1.lazy.load(Relaxed) != 0, "CPU 1 must leave a space on which it is not lazy");
        self.cpu1.active.store(KERNEL, Relaxed);
        self.load(None);
        self.mm.leave(OTHER);
    }

    fn load(&self, space: Option<usize>) {
        hw::install(space, TAG, Install::FlushAll);
        self.cpu1.loaded.store(space.map_or(KERNEL, |space| space as u64), Relaxed);
    }

    fn exec(&self) {
        sync::note("exec by a kernel thread");
        self.cpu1.lazy.store(0, Relaxed);
        self.cpu1.active.store(NEXT as u64, Relaxed);
        self.load(Some(NEXT));
        self.mm.leave(OTHER);
        hw::user(true);
    }

    fn queued_switch(&self) {
        sync::note("switch to a user thread, queue its root");
        let on = sync::irq_save();
        self.mm.leave(OTHER);
        self.cpu1.lazy.store(0, Relaxed);
        self.cpu1.active.store(NEXT as u64, Relaxed);
        sync::note("carry out what was queued");
        self.load(Some(NEXT));
        sync::irq_restore(on);
        hw::user(true);
    }

    fn patch(&self, leaves_first: bool) {
        sync::note("patch code");
        let on = sync::irq_save();
        if leaves_first && self.cpu1.lazy.load(Relaxed) != 0 {
            self.leave();
        }
        let before = self.cpu1.active.load(Relaxed);
        self.cpu1.lazy.store(0, Relaxed);
        self.cpu1.active.store(NEXT as u64, Relaxed);
        self.load(Some(NEXT));
        self.mm.leave(OTHER);
        sync::note("go back");
        self.cpu1.active.store(before, Relaxed);
        if before == DYING as u64 {
            self.mm.join(OTHER);
            self.load(Some(DYING));
        } else {
            self.load(None);
        }
        sync::irq_restore(on);
    }
}

impl Program for LastExit {
    fn main(&self, cpu: usize) {
        if cpu != OTHER {
            return self.exit();
        }
        match self.policy.other {
            Other::Exec => self.exec(),
            Other::QueuedSwitch => self.queued_switch(),
            Other::Patch { leaves_first } => self.patch(leaves_first),
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (OTHER, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| self.let_go());
    }
}
