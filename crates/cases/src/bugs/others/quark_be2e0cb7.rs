//! Pages are freed once other virtual CPUs have been signalled, and nobody waits until they have stopped.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "quark-be2e0cb7-wait-for-exit",
    id: "G73",
    source: "be2e0cb71f772503b76480fdee0d36b0a69e6471 (PR 696)",
    year: 2022,
    title: "add wait for tlbshootdown",
    kernel: "Quark",
    arch: "x86",
    rules: &[8],
    about: "The host signals virtual CPUs that have to flush and does not wait until they have left the guest; the \
            pages are given back meanwhile.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "transport-paravirtual",
    ..Bug::race(Memory::Tso, Signal::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const IPI: u8 = 0;
const CPU_1: u64 = 1 << 1;

/// CPU 0 unmaps a page; CPU 1 runs another thread of the process, in user mode.
#[derive(Debug)]
struct Signal {
    variant: Variant,
    machine: Machine,
    /// CPUs that have to flush before they run user code.
    to_flush: Word,
    /// Whether the host has seen CPU 1 leave the guest.
    left: Word,
}

impl Signal {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            to_flush: Word::new("to_flush", 0),
            left: Word::new("left", 0),
        })
    }

    fn unmap(&self) {
        sync::note("unmap");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_user();
        self.to_flush.fetch_or(CPU_1, AcqRel);
        sync::note("have the host signal the other virtual CPU");
        sync::raise(1, IPI);
        if self.variant == Variant::Fixed {
            sync::wait_until(|| self.left.load(Acquire) == 1);
        }
        sync::note("free the page");
        hw::free_frame(1);
    }
}

impl Program for Signal {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { hw::touch(0) }
    }

    /// The signal takes the virtual CPU out of the guest; it comes back into the guest's handler of an injected
    /// interrupt.
    fn interrupt(&self, _cpu: usize, _line: u8) {
        hw::user(false);
        self.left.store(1, Release);
        if self.to_flush.fetch_and(!CPU_1, AcqRel) & CPU_1 != 0 {
            hw::flush_user();
        }
        hw::user(true);
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("guest", self);
        registry.mask(&self.to_flush);
    }
}
