//! Programs of the tables' format under weak memory, handlers among them: the explorer's outcomes against those of an
//! enumerator of executions, which knows of views nothing.
//!
//! A handler shares its CPU's view, so to the axioms it is a stretch of the CPU's own program, at every place where it
//! may come. An interrupt tells nothing of what its sender knew (`Interrupts::Overtake`), and comes after it was
//! raised.

use crate::common::ir::{self, Outcome, Test, parse};
use crate::common::rc11::Step;
use crate::common::{axioms, plain, reduced};
use shootdown_explore::{Memory, Options};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// A step of a CPU, and the line whose handler makes it, if it is not main code.
type Placed = (Option<u8>, ir::Step);

/// Most candidates for one order of handlers.
const MOST: usize = 100_000;

/// What RC11 allows; nothing if that takes too long. Programs have WAIT only for what comes, SAVE and RESTORE by pairs
/// in main code, each interrupt once, and answers in words that nobody reads.
fn right(test: &Test) -> Option<BTreeSet<Outcome>> {
    let coming = |cpu: usize| {
        let raised = test.mains.iter().chain(test.handlers.values()).flatten();
        let raised = raised.filter_map(move |step| match *step {
            ir::Step::Raise(to, line) if to == cpu => Some(line),
            _ => None,
        });
        let pending = (0..32).filter(move |line| test.pending[cpu] >> line & 1 != 0);
        pending.chain(raised).collect::<BTreeSet<u8>>()
    };
    let runs: Vec<Vec<Vec<Placed>>> =
        test.mains.iter().enumerate().map(|(cpu, main)| placements(test, main, &coming(cpu))).collect();
    let mut found = BTreeSet::new();
    let mut chosen = vec![0; runs.len()];
    loop {
        let cpus: Vec<&Vec<Placed>> = chosen.iter().zip(&runs).map(|(&one, all)| &all[one]).collect();
        found.extend(one_order(test, &cpus)?);
        let next = (0..runs.len()).find(|&cpu| chosen[cpu] + 1 < runs[cpu].len());
        let Some(next) = next else { return Some(found) };
        chosen[..next].fill(0);
        chosen[next] += 1;
    }
}

/// Main code with these handlers at every place where they may come.
fn placements(test: &Test, main: &[ir::Step], lines: &BTreeSet<u8>) -> Vec<Vec<Placed>> {
    let mut orders = vec![Vec::new()];
    for &line in lines {
        let longer = |order: &Vec<u8>| {
            (0..=order.len()).map(|at| [&order[..at], &[line], &order[at..]].concat()).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    let main: Vec<Placed> = main.iter().map(|&step| (None, step)).collect();
    orders.iter().flat_map(|order| insert(test, &main, order, 0)).collect()
}

/// `run` with handlers in this order, all at place `from` or later, and none where interrupts are off.
fn insert(test: &Test, run: &[Placed], order: &[u8], from: usize) -> Vec<Vec<Placed>> {
    let Some((&line, rest)) = order.split_first() else { return vec![run.to_vec()] };
    let handler: Vec<Placed> = test.handlers[&line].iter().map(|&step| (Some(line), step)).collect();
    let count = |at: usize, step: ir::Step| run[..at].iter().filter(|(_, other)| *other == step).count();
    let places = (from..=run.len()).filter(|&at| count(at, ir::Step::Save) == count(at, ir::Step::Restore));
    let put =
        |at: usize| insert(test, &[&run[..at], &handler, &run[at..]].concat(), rest, at + handler.len());
    places.flat_map(put).collect()
}

fn one_order(test: &Test, cpus: &[&Vec<Placed>]) -> Option<BTreeSet<Outcome>> {
    let threads: Vec<Vec<Step>> =
        cpus.iter().map(|steps| steps.iter().map(|&(_, step)| axiom(step)).collect()).collect();
    // Steps have numbers, CPU by CPU.
    let first = |cpu: usize| cpus[..cpu].iter().map(|steps| steps.len()).sum::<usize>();
    let mut after = Vec::new();
    for (sender, steps) in cpus.iter().enumerate() {
        for (at, &(_, step)) in steps.iter().enumerate() {
            let ir::Step::Raise(cpu, line) = step else { continue };
            let begin = cpus[cpu].iter().position(|&(frame, _)| frame == Some(line));
            after.extend(begin.map(|begin| (first(sender) + at, first(cpu) + begin)));
        }
    }
    let outcomes = axioms::outcomes(&threads, test.initial.len(), &after, MOST)?;
    Some(outcomes.iter().filter_map(|outcome| told(test, cpus, outcome)).collect())
}

/// What the axioms know of a step; a fence of nothing for what they need not know.
fn axiom(step: ir::Step) -> Step {
    match step {
        ir::Step::Load(x, by) => Step::Load(x, by),
        ir::Step::Store(x, value, by) => Step::Store(x, value, by),
        ir::Step::Swap(x, value, by) => Step::Swap(x, value, by),
        ir::Step::Add(x, by, order) | ir::Step::Increment(x, by, order) => Step::Add(x, by, order),
        ir::Step::Exchange(x, old, new, by) => Step::Cas(x, (old, new), by, Relaxed),
        ir::Step::Fence(by) => Step::Fence(by),
        ir::Step::Wait(x, _) => Step::Load(x, Acquire),
        ir::Step::Save | ir::Step::Restore | ir::Step::Raise(..) | ir::Step::Observe(..) => {
            Step::Fence(Relaxed)
        }
        other => panic!("the enumerator does not know {other}"),
    }
}

/// Memory at the end, from what each read has read and what words hold; nothing if a wait has seen another value.
fn told(test: &Test, cpus: &[&Vec<Placed>], outcome: &[u64]) -> Option<Outcome> {
    let (mut answers, mut observed) = (outcome.iter().copied(), Vec::new());
    for steps in cpus {
        let mut seen: BTreeMap<Option<u8>, u64> = BTreeMap::new();
        for &(frame, step) in *steps {
            let seen = seen.entry(frame).or_default();
            let answer = if axiom(step).reads() { answers.next() } else { None };
            match (step, answer) {
                (ir::Step::Wait(_, value), Some(answer)) if answer != value => return None,
                (ir::Step::Wait(..) | ir::Step::Increment(..), _) => {}
                (ir::Step::Observe(x, _), _) => observed.push((x, *seen)),
                (_, Some(answer)) => *seen = 8 * *seen + answer + 1,
                _ => {}
            }
        }
    }
    let mut memory: Vec<u64> = answers.collect();
    assert_eq!(memory.len(), test.initial.len());
    observed.into_iter().for_each(|(x, value)| memory[x] = value);
    Some(Outcome { stuck: false, memory })
}

fn differences(test: &Test) -> Vec<String> {
    let right = right(test).unwrap_or_else(|| panic!("{}: too many candidates", test.name));
    assert!(!right.is_empty(), "{} ends", test.name);
    let mut wrong = Vec::new();
    for options in
        [plain(Memory::Weak), reduced(Memory::Weak), Options { workers: 2, ..reduced(Memory::Weak) }]
    {
        let seen = test.outcomes(&options, true);
        if seen != right {
            let list = |one: &BTreeSet<Outcome>, two: &BTreeSet<Outcome>| {
                one.difference(two).map(Outcome::to_string).collect::<Vec<_>>()
            };
            wrong.push(format!("{test}misses {:?}, invents {:?}", list(&right, &seen), list(&seen, &right)));
        }
    }
    wrong
}

#[test]
fn every_program_of_the_table_has_the_outcomes_that_the_axioms_allow() {
    let tests = parse("weak.ir", include_str!("tables/weak.ir")).expect("a table");
    assert!(tests.len() >= 60, "{} programs", tests.len());
    let wrong: Vec<String> = tests.iter().flat_map(differences).collect();
    assert!(wrong.is_empty(), "{} runs differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_axioms_place_handlers() {
    let tests = parse("weak.ir", include_str!("tables/weak.ir")).expect("a table");
    let allows = |name: &str, memory: &[u64]| {
        let test = tests.iter().find(|test| test.name == name).expect("in the table");
        right(test).expect("few candidates").contains(&Outcome { stuck: false, memory: memory.to_vec() })
    };
    // An answer of 0 is told as 1, of 1 as 2; then an answer of 0 behind one of 1 as 17.
    assert!(allows("mp_rel_handler_reads_flag_acq", &[1, 1, 1, 2]), "the handler comes last");
    assert!(allows("mp_fence_in_handler", &[1, 1, 17]), "the fence may come too late");
    assert!(allows("mp_handler_stores_flag_behind_fence", &[1, 1, 17]), "the handler may come first");
    assert!(!allows("raise_is_a_cause", &[0, 1, 2]), "an interrupt comes after it is raised");
    assert!(allows("raise_overtakes_full_fences", &[1, 1]), "and tells nothing");
}

#[test]
fn random_programs_with_handlers_have_the_outcomes_that_the_axioms_allow() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut compared = 0;
    for number in 0..600 {
        let test = dice.program(number, number >= 400);
        if right(&test).is_some_and(|right| !right.is_empty()) {
            assert_eq!(differences(&test), Vec::<String>::new());
            compared += 1;
        }
    }
    assert!(compared > 450, "{compared} compared");
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn step(&mut self) -> ir::Step {
        let (x, value) = (self.roll(2) as usize, 1 + self.roll(3));
        let any = [Relaxed, Acquire, Release, AcqRel][self.roll(4) as usize];
        match self.roll(12) {
            0..=3 => ir::Step::Load(x, [Relaxed, Acquire][self.roll(2) as usize]),
            4..=6 => ir::Step::Store(x, value, [Relaxed, Release][self.roll(2) as usize]),
            7 => ir::Step::Swap(x, value, any),
            8 => ir::Step::Increment(x, 4, any),
            9 => ir::Step::Exchange(x, self.roll(2), value, any),
            10 => ir::Step::Fence([Acquire, Release, AcqRel][self.roll(3) as usize]),
            _ => ir::Step::Fence(SeqCst),
        }
    }

    /// Two CPUs, a handler or two, and a word for the answers of each frame. Of those that are `fenced` each frame has
    /// a full fence.
    fn program(&mut self, number: usize, fenced: bool) -> Test {
        let mut test = Test { name: format!("random_{number}"), initial: vec![0; 6], ..Test::default() };
        let frame = |dice: &mut Self, most: u64, at: usize| {
            let mut steps: Vec<ir::Step> = (0..1 + dice.roll(most)).map(|_| dice.step()).collect();
            if fenced {
                steps.insert(dice.roll(1 + steps.len() as u64) as usize, ir::Step::Fence(SeqCst));
            }
            steps.push(ir::Step::Observe(at, Relaxed));
            steps
        };
        test.mains = (0..2).map(|cpu| frame(self, 3, 2 + cpu)).collect();
        test.handlers = (0..2).map(|line| (line, frame(self, 2, 4 + usize::from(line)))).collect();
        test.pending = vec![0; 2];
        let sender = self.roll(3) as usize;
        if let Some(main) = test.mains.get_mut(sender) {
            let at = self.roll(main.len() as u64) as usize;
            main.insert(at, ir::Step::Raise(1 - sender, 0));
        } else {
            test.pending[self.roll(2) as usize] |= 1;
        }
        test.pending[self.roll(2) as usize] |= 2 * self.roll(2) as u32;
        test
    }
}
