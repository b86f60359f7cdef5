//! Two senders take the same call structure, as taking it is a load and a store.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-35551efb-csd-lock",
    id: "F2",
    source: "35551efb155e (CVE-2026-68438)",
    year: 2026,
    title: "smp: Make CSD lock acquisition atomic for debug mode",
    rules: &[6, 11],
    about: "Two CPUs take the one structure that belongs to the target of their calls, both queue it, and it \
            comes to point to itself: the target walks its queue for ever.",
    ends: "the queue of CPU 2 is a circle, which its handler walks for ever",
    engine: "two-flushers",
    ..Bug::race(Memory::Tso, SharedCall::model)
};

const TARGET: usize = 2;
const CALL: u8 = 0;
/// The one structure, where a queue or a link names it.
const NODE: u64 = 1;

/// The call structure of the target: whether it is taken, and the next one in the queue that it is in.
#[derive(Debug)]
struct Call {
    taken: Word,
    next: Word,
}

/// CPUs 0 and 1 each have CPU 2 run something, and wait for nothing. For the sake of debugging they use the call
/// structure that belongs to CPU 2, not one of their own.
#[derive(Debug)]
pub(crate) struct SharedCall {
    variant: Variant,
    call: Call,
    /// First of the target's queue.
    queue: Word,
}

impl SharedCall {
    pub(crate) fn model(variant: Variant) -> Model {
        Machine::builder(3).runs(|_| Self {
            variant,
            call: Call { taken: Word::new("call.taken", 0), next: Word::new("call.next", 0) },
            queue: Word::new("queue.first", 0),
        })
    }

    fn send(&self) {
        sync::note("call CPU 2");
        match self.variant {
            Variant::Broken => {
                sync::wait_until(|| self.call.taken.load(Acquire) == 0);
                self.call.taken.store(1, Relaxed);
            }
            _ => sync::retry(|| self.call.taken.compare_exchange(0, 1, Relaxed, Relaxed).ok().map(drop)),
        }
        let first = sync::retry(|| {
            let first = self.queue.load(Relaxed);
            self.call.next.store(first, Relaxed);
            self.queue.compare_exchange(first, NODE, AcqRel, Relaxed).ok()
        });
        if first == 0 {
            sync::raise(TARGET, CALL);
        }
    }

    fn serve(&self) {
        if self.queue.swap(0, AcqRel) == NODE {
            let next = self.call.next.load(Relaxed);
            sync::demand(next != NODE, "the queue of CPU 2 is a circle, which its handler walks for ever");
            self.call.taken.store(0, Release);
        }
    }
}

impl Program for SharedCall {
    fn main(&self, cpu: usize) {
        if cpu != TARGET {
            self.send();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (TARGET, CALL), "nobody else is called");
        self.serve();
    }
}
