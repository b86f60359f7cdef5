//! A machine, a function for each CPU, and a word for them to talk through.

use shootdown_explore::sync::Word;
use shootdown_explore::{Memory, Options, Registry, Verdict};
use shootdown_model::{Builder, Machine, Program, run};

/// What a CPU does.
pub type Main = fn(&SmallMachine);

/// The scenario.
#[derive(Debug)]
pub struct SmallMachine {
    pub machine: Machine,
    pub word: Word,
    mains: Vec<Main>,
}

impl Program for SmallMachine {
    fn main(&self, cpu: usize) {
        self.mains[cpu](self);
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("small_machine", &self.word);
    }
}

/// Visits every execution of `mains` on the machine, under total store order.
pub fn verdict(builder: Builder, mains: &[Main]) -> Verdict {
    verdict_under(Memory::Tso, builder, mains)
}

/// The same under a memory model.
pub fn verdict_under(memory: Memory, builder: Builder, mains: &[Main]) -> Verdict {
    let word = Word::new("word", 0);
    let model = builder.runs(|machine| SmallMachine { machine, word, mains: mains.to_vec() });
    run(&model, &Options { memory, workers: 1, ..Options::default() }).verdict
}
