//! A CPU's own bit at a context switch: when it may take itself out of the mask, and when not. The cases share this
//! code; kernels differ in what keeps translations alive across the switch.
//!
//! CPU 0 switches from one thread of a space to another one of the same space, directly or by way of something else.
//! CPU 1 runs a further thread, which has a page copied on write.

use super::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program};

/// When a CPU takes itself out of the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// Whenever a thread is switched out, before anything else.
    WithTheThread,
    /// When another root has been loaded.
    WithTheRoot,
    /// Never.
    Never,
}

/// What runs on CPU 0 between the two threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// Nothing: the root need not change.
    Nothing,
    /// A kernel thread on its own root.
    Kernel,
}

/// What a kernel and its hardware do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) leaves: Leaves,
    pub(crate) between: Between,
    /// Whether translations are tagged, so that they survive a root load.
    pub(crate) tagged: bool,
}

const SPACE: usize = 0;
const KERNEL_TAG: u8 = 0;
const FLUSH: u64 = 1;

#[derive(Debug)]
pub(crate) struct Switching {
    policy: Policy,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl Switching {
    pub(crate) fn model(policy: Policy) -> Model {
        let tag = u8::from(policy.tagged);
        let machine = Machine::builder(2)
            .tags(1 + usize::from(tag))
            .translation(1, Some(SPACE), false)
            .translation(2, Some(SPACE), true)
            .map(SPACE, 0, 1)
            .start(0, SPACE, tag, true)
            .start(1, SPACE, tag, true)
            .must_free_frame(1);
        machine.runs(|machine| Self { policy, machine, mm: Mm::new(2, 1, 0b11), calls: CrossCall::new(2) })
    }

    fn tag(&self) -> u8 {
        u8::from(self.policy.tagged)
    }

    fn switch_threads(&self, cpu: usize) {
        hw::user(false);
        match self.policy.between {
            Between::Nothing => {
                sync::note("switch to another thread of the space");
                if self.policy.leaves == Leaves::WithTheThread {
                    self.mm.leave(cpu);
                    self.mm.join(cpu);
                }
            }
            Between::Kernel => {
                sync::note("switch to something else");
                self.switch_out(cpu);
                sync::note("switch back");
                self.switch_in(cpu);
            }
        }
        hw::user(true);
        hw::touch(0);
    }

    fn switch_out(&self, cpu: usize) {
        let on = sync::irq_save();
        if self.policy.leaves == Leaves::WithTheThread {
            self.mm.leave(cpu);
        }
        hw::install(None, KERNEL_TAG, Install::Keep);
        if self.policy.leaves == Leaves::WithTheRoot {
            self.mm.leave(cpu);
        }
        sync::irq_restore(on);
    }

    fn switch_in(&self, cpu: usize) {
        let on = sync::irq_save();
        self.mm.join(cpu);
        sync::fence(SeqCst);
        hw::install(Some(SPACE), self.tag(), Install::Keep);
        sync::irq_restore(on);
    }

    fn copy_on_write(&self, cpu: usize) {
        sync::note("copy page 0 on write");
        self.machine.tables.leaf(SPACE, 0).store(2, Relaxed);
        sync::fence(SeqCst);
        self.calls.call(cpu, self.mm.members(), FLUSH);
        hw::flush_page(self.tag(), 0, WalkCache::Drop);
        hw::free_frame(1);
    }
}

impl Program for Switching {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.switch_threads(cpu) } else { self.copy_on_write(cpu) }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
        self.calls.serve(cpu, |_| hw::flush_page(self.tag(), 0, WalkCache::Drop));
    }
}
