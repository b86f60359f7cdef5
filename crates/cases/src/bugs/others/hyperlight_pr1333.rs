//! A host forgets that its guest has to flush before the guest has got to run.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "hyperlight-pr1333-cancelled-run",
    id: "G22",
    source: "PR 1333",
    year: 2026,
    title: "Defer clearing tlb flush flag",
    kernel: "Hyperlight",
    arch: "x86",
    rules: &[8],
    about: "The note that a guest has to flush is cleared before the guest runs; a run that is cancelled first flushes \
            nothing, and neither does the next.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "transport-paravirtual",
    ..Bug::race(Memory::Tso, Sandbox::model)
};

const GUEST: usize = 0;
const TAG: u8 = 0;

/// One CPU is the host's thread, and the guest's virtual CPU while that runs.
#[derive(Debug)]
pub(crate) struct Sandbox {
    variant: Variant,
    machine: Machine,
    /// Whether the guest has to flush when it is entered.
    must_flush: Word,
}

impl Sandbox {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine =
            Machine::builder(1).own_page(GUEST, 0, 1).start(0, GUEST, TAG, false).must_free_frame(1);
        machine.runs(|machine| Self { variant, machine, must_flush: Word::new("sandbox.must_flush", 0) })
    }

    fn restore(&self) {
        sync::note("restore a snapshot");
        self.machine.tables.leaf(GUEST, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        self.must_flush.store(1, Relaxed);
        hw::free_frame(1);
    }

    /// Calls a function of the guest; another thread may cancel the call before the virtual CPU is entered.
    fn call(&self, cancelled: bool) {
        sync::note("call the guest");
        let flush = self.must_flush.load(Relaxed) == 1;
        if self.variant == Variant::Broken {
            self.must_flush.store(0, Relaxed);
        }
        if cancelled {
            return;
        }
        enter(flush);
        self.must_flush.store(0, Relaxed);
    }
}

/// The guest, from the stub that it is entered at to its halt.
fn enter(flush: bool) {
    if flush {
        hw::flush_user();
    }
    hw::user(true);
    hw::touch(0);
    hw::user(false);
}

impl Program for Sandbox {
    fn main(&self, _: usize) {
        self.restore();
        self.call(sync::choose(2) == 1);
        self.call(false);
    }
}
