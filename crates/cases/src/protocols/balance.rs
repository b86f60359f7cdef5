//! Balanced references: one function takes a user reference, and returns in more than one place. The cases share this
//! code; the places differ.
//!
//! CPU 0 runs a process that has the kernel look at its mappings, uses its memory, and exits.

use super::Mm;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::sync;
use shootdown_machine::hw::{self, Install, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// Where the function drops the reference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Whether the way out for errors drops it even where it was dropped before.
    pub(crate) twice_on_error: bool,
    /// Whether it is dropped before the function starts again.
    pub(crate) before_retry: bool,
}

const SPACE: usize = 0;
const TAG: u8 = 0;

#[derive(Debug)]
pub(crate) struct Balance {
    machine: Machine,
    policy: Policy,
    mm: Mm,
}

impl Balance {
    pub(crate) fn model(policy: Policy) -> Model {
        let machine = Machine::builder(1)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .must_free_frame(1)
            .must_free_root(SPACE);
        machine.runs(|machine| Self { machine, policy, mm: Mm::new(1, 1, 0b1) })
    }

    /// Looks at the space, starts again at most once, and hands the answer out, for which there may be no room.
    fn query(&self) {
        sync::note("look at the mappings");
        if !self.mm.upgrade() {
            return;
        }
        if sync::choose(2) == 1 {
            sync::note("start again");
            if self.policy.before_retry {
                self.put_user();
            }
            if !self.mm.upgrade() {
                return;
            }
        }
        self.put_user();
        let fits = sync::choose(2) == 0;
        if !fits {
            sync::note("no room for the answer: error");
            if self.policy.twice_on_error {
                self.put_user();
            }
        }
    }

    fn put_user(&self) {
        if !self.mm.put_user() {
            return;
        }
        sync::note("tear down");
        hw::teardown(SPACE);
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        hw::broadcast(Whose::Space(SPACE), Which::All);
        hw::free_frame(1);
        if self.mm.put_struct() {
            hw::free_root(SPACE);
        }
    }

    fn exit(&self) {
        sync::note("exit");
        hw::user(false);
        hw::install(None, TAG, Install::FlushTag);
        self.put_user();
    }
}

impl Program for Balance {
    fn main(&self, _cpu: usize) {
        hw::user(false);
        self.query();
        sync::note("return to user mode");
        hw::user(true);
        hw::touch(0);
        self.exit();
    }
}
