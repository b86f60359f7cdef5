//! A shootdown that finds the target's queue full is dropped, and waited for.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "nrk-e9530817-queue-overflow",
    id: "G12",
    source: "e9530817",
    year: 2023,
    title: "Hack a solution for tlb queue overflows in fxmark benchmark",
    kernel: "NRK",
    arch: "x86",
    rules: &[14],
    about: "A shootdown request that meets a full queue is dropped in silence; its sender waits for an answer for \
            ever.",
    ends: "no CPU can go on: CPU 0 waits for shootdown0.acknowledged to change from 0x0",
    engine: "history-overflow",
    ..Bug::race(Memory::Tso, Queue::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const WORK: u8 = 0;
const TARGET: usize = 2;

/// Core 2 runs a thread. Cores 0 and 1 unmap a page each and ask core 2 to flush. Its queue has room for one request.
#[derive(Debug)]
pub(crate) struct Queue {
    variant: Variant,
    machine: Machine,
    /// The page to flush, plus one; 0 is an empty queue.
    slot: Word,
    /// Per sender, whether its request was acknowledged.
    acknowledged: [Word; 2],
}

impl Queue {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(3)
            .own_page(SPACE, 0, 1)
            .own_page(SPACE, 1, 2)
            .start(TARGET, SPACE, TAG, true)
            .must_free_frame(1)
            .must_free_frame(2);
        let acknowledged = [0, 1].map(|_| Word::new("acknowledged", 0));
        machine.runs(|machine| Self { variant, machine, slot: Word::new("slot", 0), acknowledged })
    }

    fn unmap(&self, me: usize) {
        self.machine.tables.leaf(SPACE, me).store(0, Relaxed);
        sync::fence(SeqCst);
        self.enqueue(me);
        sync::raise(TARGET, WORK);
        sync::wait_until(|| self.acknowledged[me].load(Acquire) != 0);
        hw::free_frame(1 + me);
    }

    fn enqueue(&self, me: usize) {
        let push = || self.slot.compare_exchange(0, 1 + me as u64, AcqRel, Relaxed).ok();
        match self.variant {
            Variant::Broken => {
                let _ = push();
            }
            _ => {
                sync::retry(push);
            }
        }
    }

    fn dequeue(&self) {
        let item = self.slot.swap(0, AcqRel);
        if item != 0 {
            let sender = item as usize - 1;
            hw::flush_page(TAG, sender, WalkCache::Drop);
            self.acknowledged[sender].store(1, Release);
        }
    }
}

impl Program for Queue {
    fn main(&self, cpu: usize) {
        if cpu != TARGET {
            self.unmap(cpu);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (TARGET, WORK), "core 2 has the work");
        self.dequeue();
    }

    fn register(&self, registry: &mut Registry) {
        registry.local(TARGET, "queue2", &self.slot);
        for (sender, word) in self.acknowledged.iter().enumerate() {
            registry.object(format!("shootdown{sender}"), word);
        }
    }
}
