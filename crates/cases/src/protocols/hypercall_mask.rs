//! A flush by hypercall reads the mask several times, and the mask shrinks in between. The cases share this code; the
//! kernel's versions differ in what they check, and when.
//!
//! CPU 0's kernel thread reclaims a page of a space. One CPU is in the mask: CPU 0 itself, which is lazy on the space
//! and can be asked to leave, or CPU 1, which switches away by itself.

use super::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// Where the flush makes sure that the mask holds a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// At the beginning, with interrupts on.
    First,
    /// At the beginning, with interrupts off.
    FirstMasked,
    /// In each value that it reads, where it uses it.
    EachValue,
}

/// The CPUs that are in the mask and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// The flushing CPU, when CPU 1 asks it.
    Flusher,
    /// CPU 1.
    Other,
}

/// What a kernel does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) check: Check,
    pub(crate) member: Member,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const LEAVE: u64 = 1;
const CPUS: usize = 2;

#[derive(Debug)]
pub(crate) struct HypercallMask {
    policy: Policy,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl HypercallMask {
    pub(crate) fn model(policy: Policy) -> Model {
        let (cpu, user) = match policy.member {
            Member::Flusher => (0, false),
            Member::Other => (1, true),
        };
        let machine =
            Machine::builder(CPUS).own_page(SPACE, 0, 1).start(cpu, SPACE, TAG, user).must_free_frame(1);
        machine.runs(|machine| Self {
            policy,
            machine,
            mm: Mm::new(1, 1, 1 << cpu),
            calls: CrossCall::new(CPUS),
        })
    }

    fn reclaim(&self) {
        sync::note("reclaim page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        self.flush();
        hw::free_frame(1);
    }

    fn flush(&self) {
        if self.policy.check == Check::First && self.mm.members() == 0 {
            return;
        }
        let on = sync::irq_save();
        if self.policy.check != Check::FirstMasked || self.mm.members() != 0 {
            self.hypercall();
        }
        sync::irq_restore(on);
    }

    fn hypercall(&self) {
        // The short form of the call serves processors with small numbers, so it looks up the last CPU's number.
        let last = last_cpu(self.mm.members());
        if last < CPUS || self.policy.check != Check::EachValue {
            sync::demand(last < CPUS, "CPU 0 reads past the end of the table of virtual processor numbers");
        }
        if self.mm.members() != 0 {
            hw::broadcast(Whose::Space(SPACE), Which::Page(0, WalkCache::Drop));
        }
    }

    fn leave(&self, cpu: usize) {
        hw::install(None, TAG, Install::FlushAll);
        self.mm.leave(cpu);
    }

    fn run_other(&self) {
        match self.policy.member {
            Member::Flusher => {
                sync::note("ask members to leave");
                self.calls.call(1, self.mm.members(), LEAVE);
            }
            Member::Other => {
                sync::note("switch away");
                hw::user(false);
                let on = sync::irq_save();
                self.leave(1);
                sync::irq_restore(on);
            }
        }
    }
}

/// Number of the last CPU in `mask`; one past the last CPU if there is none.
fn last_cpu(mask: u64) -> usize {
    mask.checked_ilog2().map_or(CPUS, |bit| bit as usize)
}

impl Program for HypercallMask {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.reclaim() } else { self.run_other() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (0, CROSS_CALL), "only CPU 1 calls");
        self.calls.serve(cpu, |_| self.leave(cpu));
    }
}
