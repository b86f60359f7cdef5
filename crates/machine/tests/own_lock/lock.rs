//! A model whose file is called as one of the kit's.

use shootdown_explore::sync::{self, Word};
use shootdown_model::kit::Lock;
use shootdown_model::{Machine, Model, Program, Sketch, Variant, hw};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

pub const SKETCH: Sketch = Sketch::new("toy-own-lock", &[("lock.rs", include_str!("lock.rs"))], Toy::model);

#[derive(Debug)]
struct Toy {
    variant: Variant,
    machine: Machine,
    lock: Lock,
    flushed: Word,
}

impl Toy {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).own_page(0, 0, 1).start(0, 0, 0, true).start(1, 0, 0, true);
        machine.must_free_frame(1).runs(|machine| Self {
            variant,
            machine,
            lock: Lock::new("toy.held"),
            flushed: Word::new("toy.flushed", 0),
        })
    }

    fn unmap(&self) {
        self.machine.tables.leaf(0, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_user();
        match self.variant {
            Variant::Broken => {}
            Variant::Fixed => self.tell(),
            Variant::Shipped => hw::flush_all(),
        }
        hw::free_frame(1);
    }

    fn tell(&self) {
        self.lock.lock();
        sync::raise(1, 0);
        sync::wait_until(|| self.flushed.load(Acquire) == 1);
        self.lock.unlock();
    }
}

impl Program for Toy {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        }
    }
    fn interrupt(&self, _cpu: usize, _line: u8) {
        hw::flush_user();
        self.flushed.store(1, Release);
    }
}
