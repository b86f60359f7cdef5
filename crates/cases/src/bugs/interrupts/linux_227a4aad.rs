//! membarrier looks into the address space of what another CPU runs, with nothing to keep it alive.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-227a4aad-membarrier-mm",
    id: "F5",
    source: "227a4aadc75b",
    year: 2019,
    title: "sched/membarrier: Fix p->mm->membarrier_state racy load",
    rules: &[9, 10],
    about: "membarrier reads a word in the address space of each running task without a reference; the task \
            exits and the structure is freed in between.",
    ends: "use of mm.membarrier_state after its memory was given back",
    engine: "lazy-vs-final-drop",
    ..Bug::race(Memory::Tso, Peek::model)
};

/// What a CPU runs: the task's address space, or nothing.
const IDLE: u64 = 0;
const TASK: u64 = 1;

/// The address space: memory that its last reference frees.
#[derive(Debug)]
struct Mm {
    membarrier_state: Word,
    count: Word,
}

/// What CPU 1 lets others know of what it runs.
#[derive(Debug)]
struct Runqueue {
    current: Word,
    state: Word,
}

/// CPU 0 calls membarrier. CPU 1 runs the last thread of a process that has registered, and that exits.
#[derive(Debug)]
pub(crate) struct Peek {
    variant: Variant,
    mm: Mm,
    rq: Runqueue,
    barriers: Word,
}

impl Peek {
    pub(crate) fn model(variant: Variant) -> Model {
        Machine::builder(2).runs(|_| Self {
            variant,
            mm: Mm { membarrier_state: Word::new("membarrier_state", 1), count: Word::new("count", 1) },
            rq: Runqueue { current: Word::new("rq1.current", TASK), state: Word::new("rq1.state", 1) },
            barriers: Word::new("sent.barriers", 0),
        })
    }

    fn membarrier(&self) {
        sync::note("membarrier");
        let registered = match self.variant {
            Variant::Broken => {
                self.rq.current.load(Acquire) == TASK && self.mm.membarrier_state.load(Acquire) != 0
            }
            _ => self.rq.state.load(Relaxed) != 0,
        };
        if registered {
            self.barriers.fetch_add(1, AcqRel);
        }
    }

    fn exit(&self) {
        sync::note("exit, switch to idle");
        self.rq.current.swap(IDLE, AcqRel);
        self.rq.state.store(0, Release);
        if self.mm.count.fetch_sub(1, AcqRel) == 1 {
            sync::note("free the address space");
            sync::retire(&self.mm);
        }
    }
}

impl Program for Peek {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.membarrier() } else { self.exit() }
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("mm", &self.mm);
    }
}
