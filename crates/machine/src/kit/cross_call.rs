use super::slots::{Slots, slots};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use shootdown_explore::sync::{self, Word};

/// Interrupt line of cross calls.
pub const CROSS_CALL: u8 = 0;

/// Calls that run on other CPUs in interrupt context, waited for: one slot per (caller, target), empty when answered.
#[derive(Debug)]
pub struct CrossCall {
    cpus: usize,
    slots: Slots,
}

impl CrossCall {
    /// Makes the slots of `cpus` CPUs, all empty: `call0to1.request`, ...
    pub fn new(cpus: usize) -> Self {
        Self { cpus, slots: slots("call", cpus) }
    }

    /// Has every CPU of `targets` but the caller run request `what` (not 0); returns when all have.
    pub fn call(&self, me: usize, targets: u64, what: u64) {
        let others = || (0..self.cpus).filter(|&cpu| cpu != me && targets >> cpu & 1 != 0);
        for cpu in others() {
            // A locked operation, so that the interrupt cannot overtake the request.
            self.slot(me, cpu).swap(what, AcqRel);
            sync::raise(cpu, CROSS_CALL);
        }
        for cpu in others() {
            sync::wait_until(|| self.slot(me, cpu).load(Acquire) == 0);
        }
    }

    /// Runs what others asked of `me`; called by the interrupt handler.
    pub fn serve(&self, me: usize, run: impl Fn(u64)) {
        for from in (0..self.cpus).filter(|&from| from != me) {
            let what = self.slot(from, me).load(Acquire);
            if what != 0 {
                run(what);
                self.slot(from, me).store(0, Release);
            }
        }
    }

    /// The same, and answers before it runs what was asked.
    pub fn take(&self, me: usize, run: impl Fn(u64)) {
        for from in (0..self.cpus).filter(|&from| from != me) {
            let what = self.slot(from, me).swap(0, AcqRel);
            if what != 0 {
                run(what);
            }
        }
    }

    fn slot(&self, from: usize, to: usize) -> &Word {
        &self.slots[from][to]
    }
}
