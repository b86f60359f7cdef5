//! Two CPUs, both with interrupts off, each ask the other for a flush and wait. The cases share this code; what differs
//! is whether a CPU that waits answers what is asked of itself.
//!
//! CPU 0 unmaps page 0 of a space that CPU 1 runs; CPU 1 unmaps page 1 of a space that CPU 0 runs.

use super::{MAIL, Mailbox};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program};

/// What a CPU does while it waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// It looks only for the answer.
    Idly,
    /// It looks for requests to itself, too, and serves them.
    AndServes,
}

/// Which spaces the two CPUs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spaces {
    /// Both run one space and change it.
    One,
    /// Each runs its own and changes the other's.
    Two,
}

#[derive(Debug)]
pub(crate) struct Diagonal {
    machine: Machine,
    waits: Waits,
    spaces: Spaces,
    mail: Mailbox,
}

const TAG: u8 = 0;

impl Diagonal {
    pub(crate) fn model(spaces: Spaces, waits: Waits) -> Model {
        let of_page = |page: usize| if spaces == Spaces::One { 0 } else { 1 - page };
        let runs = |cpu: usize| if spaces == Spaces::One { 0 } else { cpu };
        let machine = Machine::builder(2)
            .spaces(2, 1)
            .translation(1, Some(of_page(0)), true)
            .translation(2, Some(of_page(1)), true)
            .map(of_page(0), 0, 1)
            .map(of_page(1), 1, 2)
            .start(0, runs(0), TAG, false)
            .start(1, runs(1), TAG, false)
            .must_free_frame(1)
            .must_free_frame(2);
        machine.runs(|machine| Self { machine, waits, spaces, mail: Mailbox::new(2) })
    }

    fn system_call(&self, me: usize) {
        let on = sync::irq_save();
        let space = if self.spaces == Spaces::One { 0 } else { 1 - me };
        self.machine.tables.leaf(space, me).store(0, Relaxed);
        sync::fence(SeqCst);
        self.mail.post(me, 1 - me, 1 + me as u64);
        hw::flush_page(TAG, me, WalkCache::Drop);
        match self.waits {
            Waits::Idly => self.mail.wait(me, 1 - me),
            Waits::AndServes => self.mail.wait_and_serve(me, 1 - me, flush),
        }
        hw::free_frame(1 + me);
        sync::irq_restore(on);
        hw::user(true);
    }
}

fn flush(what: u64) {
    hw::flush_page(TAG, what as usize - 1, WalkCache::Drop);
}

impl Program for Diagonal {
    fn main(&self, cpu: usize) {
        self.system_call(cpu);
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, MAIL, "there is no other line");
        self.mail.serve(cpu, flush);
    }
}
