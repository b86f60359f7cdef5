//! Programs of loads, stores, read-modify-writes and fences: read from text, run by the explorer.

use shootdown_explore::sync::{Word, device, fence};
use shootdown_explore::{
    Commutes, Device, Effect, Facts, Memory, Options, Registry, Scenario, Verdict, View, Violation, explore,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// One operation; words by their number, registers in the order of the program.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Load(usize, Ordering),
    Store(usize, u64, Ordering),
    Fence(Ordering),
    Add(usize, u64, Ordering),
    Swap(usize, u64, Ordering),
    Cas(usize, (u64, u64), Ordering, Ordering),
}

impl Step {
    /// Reads `Ld x r0 acq` and the like.
    pub fn parse(text: &str, words: &[&str]) -> Self {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let word = |name: &str| words.iter().position(|word| *word == name).unwrap();
        let number = |text: &str| text.parse().unwrap();
        match parts[..] {
            ["Ld", x, _, order] => Self::Load(word(x), ordering(order)),
            ["St", x, value, order] => Self::Store(word(x), number(value), ordering(order)),
            ["Fence", order] => Self::Fence(ordering(order)),
            ["Rmw", "add", x, by, _, order] => Self::Add(word(x), number(by), ordering(order)),
            ["Rmw", "swap", x, value, _, order] => Self::Swap(word(x), number(value), ordering(order)),
            ["Rmw", "cas", x, old, new, _, order, failed] => {
                Self::Cas(word(x), (number(old), number(new)), ordering(order), ordering(failed))
            }
            _ => panic!("no operation: {text}"),
        }
    }

    pub fn reads(self) -> bool {
        !matches!(self, Self::Store(..) | Self::Fence(_))
    }
}

fn ordering(name: &str) -> Ordering {
    match name {
        "rlx" => Relaxed,
        "acq" => Acquire,
        "rel" => Release,
        "ar" => AcqRel,
        "sc" => SeqCst,
        _ => panic!("no ordering: {name}"),
    }
}

/// What registers hold at the end, CPU by CPU, then what words hold.
pub type Outcome = Vec<u64>;

/// A program that starts with 0 in all words.
pub struct Litmus {
    pub name: String,
    pub threads: Vec<Vec<Step>>,
    words: Vec<Word>,
    registers: Registers,
}

/// A device that takes the registers of a CPU when it has finished, a byte each.
pub struct Registers {
    counts: Vec<usize>,
    words: usize,
    seen: Mutex<BTreeSet<Outcome>>,
}

impl Litmus {
    pub fn new(name: impl Into<String>, threads: Vec<Vec<Step>>, words: usize) -> Self {
        let reads = |thread: &Vec<Step>| thread.iter().filter(|step| step.reads()).count();
        let counts = threads.iter().map(reads).collect();
        Self {
            name: name.into(),
            registers: Registers { counts, words, seen: Mutex::default() },
            threads,
            words: (0..words).map(|_| Word::new("x", 0)).collect(),
        }
    }

    /// The same where hardware reads none of the words, so that more of its steps run at once. Outcomes have registers
    /// alone.
    pub fn unwatched(&self) -> Self {
        let mut litmus = Self::new(self.name.clone(), self.threads.clone(), self.words());
        litmus.registers.words = 0;
        litmus
    }

    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// All outcomes under `options`.
    pub fn outcomes(&self, options: &Options<'_>) -> BTreeSet<Outcome> {
        self.registers.seen.lock().unwrap().clear();
        let report = explore(self, options);
        assert_eq!(report.verdict, Verdict::Holds, "{}", self.name);
        self.registers.seen.lock().unwrap().clone()
    }

    fn run(&self, step: Step) -> Option<u64> {
        let word = |x: usize| &self.words[x];
        match step {
            Step::Load(x, order) => Some(word(x).load(order)),
            Step::Store(x, value, order) => {
                word(x).store(value, order);
                None
            }
            Step::Fence(order) => {
                fence(order);
                None
            }
            Step::Add(x, by, order) => Some(word(x).fetch_add(by, order)),
            Step::Swap(x, value, order) => Some(word(x).swap(value, order)),
            Step::Cas(x, (old, new), order, failed) => {
                Some(word(x).compare_exchange(old, new, order, failed).unwrap_or_else(|found| found))
            }
        }
    }
}

impl Scenario for Litmus {
    type Device = Registers;
    fn cpus(&self) -> usize {
        self.threads.len()
    }
    fn main(&self, cpu: usize) {
        let registers = self.threads[cpu].iter().filter_map(|&step| self.run(step));
        device(registers.fold(0, |all, value| {
            assert!(value < 256, "{}: {value} is more than a byte", self.name);
            all << 8 | value
        }));
    }
    fn device(&self) -> &Registers {
        &self.registers
    }
    fn register(&self, registry: &mut Registry) {
        for word in self.words.iter().take(self.registers.words) {
            registry.watch(word);
        }
    }
}

impl Device for Registers {
    type Shared = ();
    type Local = u64;
    fn reset(&self, cpus: usize) -> ((), Vec<u64>) {
        ((), vec![0; cpus])
    }
    fn step(&self, view: &mut View<'_, Self>, cpu: usize, op: u64) -> Effect {
        view.locals[cpu] = op;
        Effect::Done(0)
    }
    fn settle(&self, _: &mut View<'_, Self>) -> Result<(), Violation> {
        Ok(())
    }
    fn finish(&self, view: &mut View<'_, Self>) -> Result<(), Violation> {
        let mut outcome = Vec::new();
        for (cpu, &count) in self.counts.iter().enumerate() {
            outcome.extend((0..count).rev().map(|index| view.locals[cpu] >> (8 * index) & 255));
        }
        outcome.extend((0..self.words).map(|index| view.memory(index)));
        self.seen.lock().unwrap().insert(outcome);
        Ok(())
    }
    fn facts(&self, _: u64) -> Facts {
        Facts { commutes: Commutes::Always, ..Facts::default() }
    }
}

/// A program and what it may end with.
pub struct Expected {
    pub litmus: Litmus,
    pub outcomes: BTreeSet<Outcome>,
}

/// Reads `test NAME`, `thread OP; OP` and `rc11 OUTCOME OUTCOME`, program by program.
pub fn table(text: &str) -> Vec<Expected> {
    let mut all = Vec::new();
    for program in text.split("test ").skip(1) {
        let mut lines = program.lines();
        let name = lines.next().unwrap();
        let mut sections: HashMap<&str, Vec<&str>> = HashMap::new();
        for line in lines {
            let (kind, rest) = line.split_once(' ').unwrap();
            sections.entry(kind).or_default().push(rest);
        }
        let ops: Vec<Vec<&str>> =
            sections["thread"].iter().map(|thread| thread.split("; ").collect()).collect();
        let words: BTreeSet<&str> = ops.iter().flatten().filter_map(|op| word_of(op)).collect();
        let words: Vec<&str> = words.into_iter().collect();
        let parse = |thread: &Vec<&str>| thread.iter().map(|op| Step::parse(op, &words)).collect();
        let threads = ops.iter().map(parse).collect();
        let outcome = |text: &str| text.split(',').map(|value| value.parse().unwrap()).collect();
        let outcomes = sections["rc11"][0].split(' ').map(outcome).collect();
        all.push(Expected { litmus: Litmus::new(name, threads, words.len()), outcomes });
    }
    all
}

fn word_of(op: &str) -> Option<&str> {
    let mut parts = op.split(' ');
    match parts.next()? {
        "Fence" => None,
        "Rmw" => parts.nth(1),
        _ => parts.next(),
    }
}

/// Weak memory, with reductions or without.
pub fn weak(reduced: bool) -> Options<'static> {
    let mut options = Options { memory: Memory::Weak, workers: 1, ..Options::default() };
    if !reduced {
        options.reductions.partial_order = false;
        options.reductions.symmetry = false;
    }
    options
}
