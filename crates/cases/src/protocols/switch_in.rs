//! A CPU switches to a space while another one, which does not run it, takes a page away. The cases share this code;
//! architectures differ in what they order, and in when the CPU's bit is set.
//!
//! CPU 0 reclaims the page. CPU 1 switches to the space and uses it.

use super::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program};

/// When the CPU that switches sets its bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bit {
    /// Before it loads the root.
    BeforeRoot,
    /// After it has loaded the root.
    AfterRoot,
}

/// What an architecture does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) bit: Bit,
    /// Whether there is a full fence between the bit and the root load, and one between the entry and the mask's read.
    pub(crate) fences: bool,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const FLUSH: u64 = 1;

#[derive(Debug)]
pub(crate) struct SwitchIn {
    policy: Policy,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl SwitchIn {
    pub(crate) fn model(policy: Policy) -> Model {
        let machine =
            Machine::builder(2).translation(1, Some(SPACE), true).map(SPACE, 0, 1).must_free_frame(1);
        machine.runs(|machine| Self { policy, machine, mm: Mm::new(1, 1, 0), calls: CrossCall::new(2) })
    }

    fn reclaim(&self) {
        sync::note("reclaim page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        self.fence();
        self.calls.call(0, self.mm.members(), FLUSH);
        hw::free_frame(1);
    }

    fn switch_in(&self, cpu: usize) {
        sync::note("switch to the space");
        let on = sync::irq_save();
        if self.policy.bit == Bit::BeforeRoot {
            self.mm.mask.fetch_or(1 << cpu, Relaxed);
            self.fence();
        }
        hw::install(Some(SPACE), TAG, Install::FlushTag);
        if self.policy.bit == Bit::AfterRoot {
            self.mm.mask.fetch_or(1 << cpu, Relaxed);
            self.fence();
        }
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }

    fn fence(&self) {
        if self.policy.fences {
            sync::fence(SeqCst);
        }
    }
}

impl Program for SwitchIn {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.reclaim() } else { self.switch_in(cpu) }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }
}
