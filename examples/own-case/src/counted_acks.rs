//! Two CPUs flush a third, which acknowledges by a count: one takes the other's acknowledgement for its own.

use shootdown_model::hw::{self, WalkCache};
use shootdown_model::sync::{self, Word};
use shootdown_model::{Machine, Memory, Model, Program, Sketch, Variant};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// The model.
pub const SKETCH: Sketch = Sketch {
    about: "Acknowledgements are counted, so a second CPU that flushes the same target takes the first one's for its own \
            and frees a frame that the target can still use.",
    memory: Memory::Tso,
    ends: "CPU 2 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    ..Sketch::new(
        "toy-issue7-counted-acks",
        &[("counted_acks.rs", include_str!("counted_acks.rs"))],
        Flush::model,
    )
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const TARGET: usize = 2;
const IPI: u8 = 0;

/// CPUs 0 and 1 unmap a page each; CPU 2 runs a third thread of the same program.
#[derive(Debug)]
struct Flush {
    variant: Variant,
    machine: Machine,
    requests: Requests,
}

/// What the target is asked, and what it has answered.
#[derive(Debug)]
struct Requests {
    /// Broken: acknowledgements since somebody last began to count.
    acks: Word,
    /// Mended: number of the newest request.
    asked: Word,
    /// Mended: number of the newest request that is answered.
    answered: Word,
}

impl Flush {
    fn model(variant: Variant) -> Model {
        let mut machine = Machine::builder(3)
            .translation(1, Some(SPACE), true)
            .translation(2, Some(SPACE), true)
            .map(SPACE, 0, 1)
            .map(SPACE, 1, 2)
            .must_free_frame(1)
            .must_free_frame(2);
        for cpu in 0..3 {
            machine = machine.start(cpu, SPACE, TAG, cpu == TARGET);
        }
        let requests = Requests {
            acks: Word::new("requests.acks", 0),
            asked: Word::new("requests.asked", 0),
            answered: Word::new("requests.answered", 0),
        };
        machine.runs(|machine| Self { variant, machine, requests })
    }

    fn unmap(&self, page: usize) {
        sync::note("unmap");
        self.machine.tables.leaf(SPACE, page).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_page(TAG, page, WalkCache::Drop);
        match self.variant {
            Variant::Broken => self.count(),
            _ => self.number(),
        }
        hw::free_frame(page + 1);
    }

    fn count(&self) {
        self.requests.acks.swap(0, AcqRel);
        sync::raise(TARGET, IPI);
        sync::wait_until(|| self.requests.acks.load(Acquire) >= 1);
    }

    fn number(&self) {
        let ticket = self.requests.asked.fetch_add(1, AcqRel) + 1;
        sync::raise(TARGET, IPI);
        sync::wait_until(|| self.requests.answered.load(Acquire) >= ticket);
    }
}

impl Program for Flush {
    fn main(&self, cpu: usize) {
        if cpu == TARGET {
            hw::touch(0);
            hw::touch(1);
        } else {
            self.unmap(cpu);
        }
    }

    fn interrupt(&self, _cpu: usize, _line: u8) {
        match self.variant {
            Variant::Broken => {
                hw::flush_user();
                self.requests.acks.fetch_add(1, AcqRel);
            }
            _ => {
                // Read before the flush: what is asked later, this flush may have come too early for.
                let asked = self.requests.asked.load(Acquire);
                hw::flush_user();
                self.requests.answered.store(asked, Release);
            }
        }
    }
}
