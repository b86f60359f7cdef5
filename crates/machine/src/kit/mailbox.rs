use super::slots::{Slots, slots};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use shootdown_explore::sync::{self, Word};

/// Interrupt line of mailboxes.
pub const MAIL: u8 = 0;

/// Requests to other CPUs. The sender waits for each of them separately: one slot per (sender, target), empty when
/// answered.
#[derive(Debug)]
pub struct Mailbox {
    cpus: usize,
    slots: Slots,
}

impl Mailbox {
    /// Makes the slots of `cpus` CPUs, all empty: `mail0to1.request`, ...
    pub fn new(cpus: usize) -> Self {
        Self { cpus, slots: slots("mail", cpus) }
    }

    /// Asks `to` for `what` (not 0).
    pub fn post(&self, me: usize, to: usize, what: u64) {
        // A locked operation, so that the interrupt cannot overtake the request.
        self.slot(me, to).swap(what, AcqRel);
        sync::raise(to, MAIL);
    }

    /// Waits until `to` has answered, and does nothing else.
    pub fn wait(&self, me: usize, to: usize) {
        sync::wait_until(|| self.answered(me, to));
    }

    /// Waits until `to` has answered, and serves what others ask of `me` meanwhile.
    pub fn wait_and_serve(&self, me: usize, to: usize, run: impl Fn(u64)) {
        loop {
            sync::wait_until(|| self.answered(me, to) || self.asked(me));
            if self.answered(me, to) {
                return;
            }
            self.serve(me, &run);
        }
    }

    /// Runs what others asked of `me`.
    pub fn serve(&self, me: usize, run: impl Fn(u64)) {
        for from in (0..self.cpus).filter(|&from| from != me) {
            let what = self.slot(from, me).load(Acquire);
            if what != 0 {
                run(what);
                self.slot(from, me).store(0, Release);
            }
        }
    }

    fn answered(&self, me: usize, to: usize) -> bool {
        self.slot(me, to).load(Acquire) == 0
    }

    /// Whether there is a request to `me`.
    pub fn asked(&self, me: usize) -> bool {
        (0..self.cpus).any(|from| from != me && self.slot(from, me).load(Acquire) != 0)
    }

    fn slot(&self, from: usize, to: usize) -> &Word {
        &self.slots[from][to]
    }
}
