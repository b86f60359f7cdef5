//! Small scenarios for tests: words, one function per CPU, and an oracle that collects outcomes.

pub mod axioms;
pub mod ir;
pub mod oracle;
pub mod rc11;
pub mod toy;

use shootdown_explore::sync::Word;
use shootdown_explore::{
    Device, Effect, Facts, Interrupts, Memory, Options, Reductions, Registry, Report, Scenario, Verdict,
    View, Violation, explore,
};
use std::collections::BTreeSet;
use std::sync::Mutex;

pub const MODELS: [Memory; 3] = [Memory::Sc, Memory::Tso, Memory::Pso];

/// Collects what the watched words hold when all CPUs have finished.
#[derive(Debug, Default)]
pub struct Collector {
    pub watched: usize,
    pub seen: Mutex<BTreeSet<Vec<u64>>>,
}

impl Device for Collector {
    type Shared = ();
    type Local = ();
    fn reset(&self, cpus: usize) -> ((), Vec<()>) {
        ((), vec![(); cpus])
    }
    fn step(&self, _: &mut View<'_, Self>, _: usize, op: u64) -> Effect {
        Effect::Violation(Violation::Misuse(format!("no operation {op}")))
    }
    fn settle(&self, _: &mut View<'_, Self>) -> Result<(), Violation> {
        Ok(())
    }
    fn finish(&self, view: &mut View<'_, Self>) -> Result<(), Violation> {
        let outcome = (0..self.watched).map(|index| view.memory(index)).collect();
        self.seen.lock().unwrap().insert(outcome);
        Ok(())
    }
    fn facts(&self, _: u64) -> Facts {
        Facts { drains_tso: true, drains_pso: true, fences: true, ..Facts::default() }
    }
}

/// Shared words and where CPUs leave what they saw.
#[derive(Debug)]
pub struct Words {
    pub x: [Word; 4],
    pub out: [Word; 4],
}

impl Default for Words {
    fn default() -> Self {
        Self { x: [const { Word::new("x", 0) }; 4], out: [const { Word::new("out", 99) }; 4] }
    }
}

/// One function per CPU; `irq` is every CPU's handler.
pub struct Program {
    pub words: Words,
    pub mains: Vec<fn(&Words)>,
    pub irq: fn(&Words, usize, u8),
    pub pending: Vec<u32>,
    pub non_maskable: u32,
    pub symmetric: Vec<Vec<usize>>,
    pub interrupts: Interrupts,
    pub collector: Collector,
}

/// Verdicts of a program under all models, without reductions and with them, by the words of `say`.
pub fn verdicts<T>(program: impl Fn() -> Program, say: impl Fn(Verdict) -> T) -> Vec<T> {
    let models = MODELS.into_iter().chain([Memory::Weak]);
    let runs = models.flat_map(|memory| [plain(memory), reduced(memory)]);
    runs.map(|options| say(explore(&program(), &options).verdict)).collect()
}

impl Program {
    pub fn new(mains: &[fn(&Words)]) -> Self {
        Self {
            words: Words::default(),
            mains: mains.to_vec(),
            irq: |_, _, _| {},
            pending: vec![0; mains.len()],
            non_maskable: 0,
            symmetric: Vec::new(),
            interrupts: Interrupts::Overtake,
            collector: Collector { watched: 8, ..Collector::default() },
        }
    }

    /// The same where hardware reads none of the words.
    pub fn unwatched(mut self) -> Self {
        self.collector.watched = 0;
        self
    }

    pub fn with_irq(mut self, irq: fn(&Words, usize, u8)) -> Self {
        self.irq = irq;
        self
    }

    pub fn seen(&self) -> BTreeSet<Vec<u64>> {
        self.collector.seen.lock().unwrap().clone()
    }

    /// What `out[0..n]` held at the ends.
    pub fn outs(&self, n: usize) -> BTreeSet<Vec<u64>> {
        self.seen().iter().map(|all| all[4..4 + n].to_vec()).collect()
    }
}

impl Scenario for Program {
    type Device = Collector;
    fn cpus(&self) -> usize {
        self.mains.len()
    }
    fn main(&self, cpu: usize) {
        self.mains[cpu](&self.words);
    }
    fn interrupt(&self, cpu: usize, line: u8) {
        (self.irq)(&self.words, cpu, line);
    }
    fn device(&self) -> &Collector {
        &self.collector
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("W", &self.words);
        registry.array("W.x", &self.words.x);
        registry.array("W.out", &self.words.out);
        for word in self.words.x.iter().chain(&self.words.out).take(self.collector.watched) {
            registry.watch(word);
        }
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        self.pending[cpu]
    }
    fn non_maskable(&self) -> u32 {
        self.non_maskable
    }
    fn interrupts(&self) -> Interrupts {
        self.interrupts
    }
    fn symmetric(&self) -> Vec<Vec<usize>> {
        self.symmetric.clone()
    }
}

/// No reduction but that histories are merged.
pub fn plain(memory: Memory) -> Options<'static> {
    Options {
        memory,
        workers: 1,
        reductions: Reductions { partial_order: false, symmetry: false, merge: true },
        collect: true,
        ..Options::default()
    }
}

/// All reductions.
pub fn reduced(memory: Memory) -> Options<'static> {
    Options { memory, workers: 1, collect: true, ..Options::default() }
}

pub fn run(program: &Program, memory: Memory) -> Report {
    explore(program, &plain(memory))
}
