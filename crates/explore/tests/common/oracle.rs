//! An enumerator of programs of the tables, written from the documentation of the crate. It shares nothing with the
//! explorer: states are plain values, every move is tried in every state, and each store buffer is a list of what
//! waits.

use super::ir::{Outcome, Step, Test};
use shootdown_explore::Memory;
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::Ordering::{self as Order, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Handlers on one CPU at most, as the explorer has it by default.
const NESTING: usize = 2;
/// States beyond which a program is too large.
const MOST: usize = 4_000;

/// All outcomes of `test`; `None` if it is too large.
pub fn outcomes(test: &Test, memory: Memory) -> Option<BTreeSet<Outcome>> {
    let start = Machine::start(test);
    let (mut seen, mut todo) = (HashSet::from([start.clone()]), vec![start]);
    let mut ends = BTreeSet::new();
    while let Some(state) = todo.pop() {
        let next = Moves { test, memory, state: &state }.all();
        if next.is_empty() {
            let finished = |(cpu, own): (usize, &Cpu)| {
                own.frames.len() == 1 && own.frames[0].at == test.mains[cpu].len()
            };
            let stuck = !state.cpus.iter().enumerate().all(finished);
            ends.insert(Outcome { stuck, memory: state.memory.clone() });
        }
        for state in next {
            if seen.insert(state.clone()) {
                todo.push(state);
            }
        }
        if seen.len() > MOST {
            return None;
        }
    }
    Some(ends)
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Machine {
    memory: Vec<u64>,
    cpus: Vec<Cpu>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Cpu {
    /// What it has stored and others cannot see yet, oldest first.
    waiting: Vec<Waiting>,
    interrupts_on: bool,
    pending: u32,
    frames: Vec<Frame>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Waiting {
    Store {
        word: usize,
        value: u64,
        release: bool,
    },
    /// A release fence: what is behind it stays behind what is before it.
    Fence,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Frame {
    /// The interrupt that it handles; none for main code.
    line: Option<u8>,
    at: usize,
    seen: u64,
    saved: Vec<bool>,
    /// Whether interrupts were on where it interrupted.
    before: bool,
}

impl Machine {
    fn start(test: &Test) -> Self {
        let frame = Frame { line: None, at: 0, seen: 0, saved: Vec::new(), before: true };
        let cpu = |&pending: &u32| Cpu {
            waiting: Vec::new(),
            interrupts_on: true,
            pending,
            frames: vec![frame.clone()],
        };
        Self { memory: test.initial.clone(), cpus: test.pending.iter().map(cpu).collect() }
    }

    /// What `cpu` reads: its own youngest store that waits, or memory.
    fn read(&self, cpu: usize, word: usize) -> u64 {
        let own = self.cpus[cpu].waiting.iter().rev().find_map(|waiting| match waiting {
            Waiting::Store { word: at, value, .. } if *at == word => Some(*value),
            _ => None,
        });
        own.unwrap_or(self.memory[word])
    }
}

impl Frame {
    fn steps<'t>(&self, test: &'t Test, cpu: usize) -> &'t [Step] {
        self.line.map_or(&test.mains[cpu], |line| &test.handlers[&line])
    }
}

/// What may happen next in a state.
struct Moves<'a> {
    test: &'a Test,
    memory: Memory,
    state: &'a Machine,
}

impl Moves<'_> {
    fn all(&self) -> Vec<Machine> {
        let cpus = 0..self.state.cpus.len();
        cpus.flat_map(|cpu| {
            let mut next = self.arrivals(cpu);
            next.extend(self.interrupts(cpu));
            next.extend(self.steps(cpu));
            next
        })
        .collect()
    }

    /// A store that waits reaches memory.
    fn arrivals(&self, cpu: usize) -> Vec<Machine> {
        let waiting = &self.state.cpus[cpu].waiting;
        let arrive = |at: usize| {
            let Waiting::Store { word, value, release } = waiting[at] else { return None };
            let before = &waiting[..at];
            let free = match self.memory {
                Memory::Pso if release => before.is_empty(),
                Memory::Pso => before.iter().all(|other| match other {
                    Waiting::Store { word: other, .. } => *other != word,
                    Waiting::Fence => false,
                }),
                _ => before.is_empty(),
            };
            free.then(|| {
                let mut next = self.state.clone();
                next.memory[word] = value;
                next.cpus[cpu].waiting.remove(at);
                // A fence with nothing before it has nothing left to do.
                while next.cpus[cpu].waiting.first() == Some(&Waiting::Fence) {
                    next.cpus[cpu].waiting.remove(0);
                }
                next
            })
        };
        (0..waiting.len()).filter_map(arrive).collect()
    }

    /// An interrupt is taken.
    fn interrupts(&self, cpu: usize) -> Vec<Machine> {
        let Cpu { interrupts_on, pending, frames, .. } = &self.state.cpus[cpu];
        if frames.len() > NESTING {
            return Vec::new();
        }
        let urgent = |line: u8| self.test.non_maskable >> line & 1 != 0;
        let in_urgent = frames.iter().any(|frame| frame.line.is_some_and(urgent));
        let may = |line: u8| if urgent(line) { !in_urgent } else { *interrupts_on };
        let take = |line: u8| {
            let mut next = self.state.clone();
            let own = &mut next.cpus[cpu];
            own.pending &= !(1 << line);
            own.frames.push(Frame {
                line: Some(line),
                at: 0,
                seen: 0,
                saved: Vec::new(),
                before: own.interrupts_on,
            });
            own.interrupts_on = false;
            next
        };
        (0..32).filter(|&line| pending >> line & 1 != 0 && may(line)).map(take).collect()
    }

    /// The topmost frame makes its step, or returns.
    fn steps(&self, cpu: usize) -> Vec<Machine> {
        let own = &self.state.cpus[cpu];
        let frame = &own.frames[own.frames.len() - 1];
        match frame.steps(self.test, cpu).get(frame.at) {
            Some(step) => self.step(cpu, *step),
            None if frame.line.is_none() => Vec::new(),
            // On x86 a return waits until every store is in memory.
            None if self.memory == Memory::Tso && !own.waiting.is_empty() => Vec::new(),
            None => {
                let mut next = self.state.clone();
                let own = &mut next.cpus[cpu];
                let left = own.frames.pop();
                own.interrupts_on = left.is_some_and(|frame| frame.before);
                vec![next]
            }
        }
    }

    fn step(&self, cpu: usize, step: Step) -> Vec<Machine> {
        let own = &self.state.cpus[cpu];
        let is_empty = own.waiting.is_empty();
        match step {
            Step::Load(word, _) => self.answered(cpu, self.state.read(cpu, word)),
            Step::Store(word, value, order) => self.store(cpu, (word, value), order),
            Step::Observe(word, order) => {
                let seen = own.frames[own.frames.len() - 1].seen;
                self.store(cpu, (word, seen), order)
            }
            Step::Swap(word, value, order) => self.modify(cpu, word, order, |_| value),
            Step::Add(word, value, order) => self.modify(cpu, word, order, |old| old.wrapping_add(value)),
            Step::Exchange(word, old, new, order) => {
                self.modify(cpu, word, order, |found| if found == old { new } else { found })
            }
            Step::Increment(word, value, order) => {
                let mut all = self.modify(cpu, word, order, |old| old.wrapping_add(value));
                // Nobody looks at its answer.
                for next in &mut all {
                    let seen = own.frames[own.frames.len() - 1].seen;
                    let last = next.cpus[cpu].frames.len() - 1;
                    next.cpus[cpu].frames[last].seen = seen;
                }
                all
            }
            Step::Fence(SeqCst) if self.memory != Memory::Sc && !is_empty => Vec::new(),
            Step::Fence(Release | AcqRel) if self.memory == Memory::Pso && !is_empty => {
                self.go_on(cpu, |next| next.cpus[cpu].waiting.push(Waiting::Fence))
            }
            Step::Fence(_) => self.go_on(cpu, |_| {}),
            Step::Save => self.go_on(cpu, |next| {
                let own = &mut next.cpus[cpu];
                let top = own.frames.len() - 1;
                own.frames[top].saved.push(own.interrupts_on);
                own.interrupts_on = false;
            }),
            Step::Restore => self.go_on(cpu, |next| {
                let own = &mut next.cpus[cpu];
                let top = own.frames.len() - 1;
                own.interrupts_on = own.frames[top].saved.pop().unwrap_or(own.interrupts_on);
            }),
            Step::On => self.go_on(cpu, |next| next.cpus[cpu].interrupts_on = true),
            Step::Raise(target, line) => self.go_on(cpu, |next| next.cpus[target].pending |= 1 << line),
            Step::Choose(n) => (0..n).flat_map(|pick| self.answered(cpu, pick.into())).collect(),
            Step::Wait(word, value) if self.state.read(cpu, word) != value => Vec::new(),
            // It goes round, which leaves everything as it is.
            Step::Spin(word, value) if self.state.read(cpu, word) != value => vec![self.state.clone()],
            Step::Wait(..) | Step::Spin(..) => self.go_on(cpu, |_| {}),
        }
    }

    /// Makes a step that is always possible: `change`, and the next step is up.
    fn go_on(&self, cpu: usize, change: impl FnOnce(&mut Machine)) -> Vec<Machine> {
        let mut next = self.state.clone();
        change(&mut next);
        let top = next.cpus[cpu].frames.len() - 1;
        next.cpus[cpu].frames[top].at += 1;
        vec![next]
    }

    fn answered(&self, cpu: usize, answer: u64) -> Vec<Machine> {
        self.go_on(cpu, |next| {
            let top = next.cpus[cpu].frames.len() - 1;
            let seen = &mut next.cpus[cpu].frames[top].seen;
            *seen = seen.wrapping_mul(8).wrapping_add(answer + 1);
        })
    }

    fn store(&self, cpu: usize, (word, value): (usize, u64), order: Order) -> Vec<Machine> {
        match (self.memory, order) {
            (Memory::Sc, _) => self.go_on(cpu, |next| next.memory[word] = value),
            // Compilers make an exchange of it.
            (_, SeqCst) if !self.state.cpus[cpu].waiting.is_empty() => Vec::new(),
            (_, SeqCst) => self.go_on(cpu, |next| next.memory[word] = value),
            (_, order) => self.go_on(cpu, |next| {
                next.cpus[cpu].waiting.push(Waiting::Store { word, value, release: order != Relaxed });
            }),
        }
    }

    fn modify(&self, cpu: usize, word: usize, order: Order, new: impl Fn(u64) -> u64) -> Vec<Machine> {
        let waiting = &self.state.cpus[cpu].waiting;
        let own_word_or_fence = |waiting: &Waiting| match waiting {
            Waiting::Store { word: at, .. } => *at == word,
            Waiting::Fence => true,
        };
        let must_wait = match (self.memory, order) {
            (Memory::Sc, _) => false,
            (Memory::Pso, Relaxed | Acquire) => waiting.iter().any(own_word_or_fence),
            _ => !waiting.is_empty(),
        };
        if must_wait {
            return Vec::new();
        }
        let old = self.state.memory[word];
        let mut all = self.answered(cpu, old);
        all.iter_mut().for_each(|next| next.memory[word] = new(old));
        all
    }
}
