//! A machine, a function for each CPU, and a word for them to talk through.

use shootdown_explore::sync::Word;
use shootdown_explore::{Memory, Options, Registry, Scenario, Verdict, explore};
use shootdown_machine::{Builder, Machine};

/// What a CPU does.
pub type Main = fn(&SmallMachine);

/// The scenario.
pub struct SmallMachine {
    pub machine: Machine,
    pub word: Word,
    mains: Vec<Main>,
}

impl Scenario for SmallMachine {
    type Device = Machine;
    fn cpus(&self) -> usize {
        self.mains.len()
    }
    fn main(&self, cpu: usize) {
        self.mains[cpu](self);
    }
    fn device(&self) -> &Machine {
        &self.machine
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("small_machine", &self.word);
        self.machine.register(registry, &[]);
    }
}

/// Visits every execution of `mains` on the machine.
pub fn verdict(builder: Builder, mains: &[Main]) -> Verdict {
    let small_machine =
        SmallMachine { machine: builder.build(), word: Word::new("word", 0), mains: mains.to_vec() };
    explore(&small_machine, &Options { memory: Memory::Tso, workers: 1, ..Options::default() }).verdict
}
