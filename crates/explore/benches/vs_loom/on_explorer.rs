//! The protocol on this project's explorer.

use crate::Outcome;
use crate::protocol::{Cell, Checker, Machine, Variant};
use core::sync::atomic::Ordering;
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, NoDevice, Options, Registry, Scenario, Verdict, explore};

impl Cell for Word {
    fn new(name: &'static str, value: u64) -> Self {
        Word::new(name, value)
    }
    fn load(&self, order: Ordering) -> u64 {
        Word::load(self, order)
    }
    fn store(&self, value: u64, order: Ordering) {
        Word::store(self, value, order);
    }
    fn swap(&self, value: u64, order: Ordering) -> u64 {
        Word::swap(self, value, order)
    }
}

struct Explorer;

impl Checker for Explorer {
    type Cell = Word;
    fn full_fence() {
        sync::fence(Ordering::SeqCst);
    }
    fn wait_until(condition: impl Fn() -> bool) {
        sync::wait_until(condition);
    }
    fn stale_access() {
        panic!("an access through a translation of a frame that was freed");
    }
}

struct TwoCpus(Machine<Explorer>, NoDevice);

impl Scenario for TwoCpus {
    type Device = NoDevice;
    fn cpus(&self) -> usize {
        2
    }
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.0.unmap() } else { self.0.borrow() }
    }
    fn device(&self) -> &NoDevice {
        &self.1
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("machine", &self.0);
    }
}

/// Visits every state of the protocol with all reductions, under store buffers per location.
pub(crate) fn run(variant: Variant) -> Outcome {
    // One worker, as loom has.
    let options = Options { memory: Memory::Pso, workers: 1, ..Options::default() };
    let report = explore(&TwoCpus(Machine::new(variant), NoDevice), &options);
    Outcome {
        visited: report.states,
        complete: report.complete(),
        caught: !matches!(report.verdict, Verdict::Holds | Verdict::Stopped(_)),
        seconds: report.elapsed.as_secs_f64(),
    }
}
