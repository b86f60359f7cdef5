//! Random programs with interrupts, non-maskable ones, masks, waits and spins: the explorer must find exactly the
//! outcomes that an enumerator finds which was written from the documentation (`common/oracle.rs`), with reductions and
//! without.

use crate::common::ir::{MODELS, Outcome, Step, Test};
use crate::common::{oracle, plain, reduced};
use shootdown_explore::Options;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Words that steps use; behind them stand those in which each frame leaves what it has seen.
const WORDS: usize = 2;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }

    fn word(&mut self) -> usize {
        self.roll(WORDS as u64) as usize
    }

    fn any_order(&mut self) -> Ordering {
        self.pick(&[Relaxed, Acquire, Release, AcqRel, SeqCst])
    }

    /// A step; `line` is that of the handler that it is for, whose interrupts may only raise earlier ones.
    fn step(&mut self, cpus: u64, line: Option<u8>) -> Step {
        let (word, value) = (self.word(), 1 + self.roll(2));
        match self.roll(26) {
            0..=4 => Step::Load(word, Relaxed),
            5..=9 => Step::Store(word, value, self.pick(&[Relaxed, Relaxed, Release, SeqCst])),
            10 => Step::Swap(word, value, self.any_order()),
            11 => Step::Add(word, value, self.any_order()),
            12 => Step::Exchange(word, self.roll(2), 2, self.any_order()),
            13 => Step::Increment(word, 1, self.any_order()),
            14..=15 => Step::Fence(self.pick(&[Acquire, Release, Release, AcqRel, SeqCst])),
            16..=17 => Step::Save,
            18 => Step::Restore,
            19 => Step::On,
            20..=21 => match line {
                None => Step::Raise(self.roll(cpus) as usize, self.roll(2) as u8),
                Some(1) => Step::Raise(self.roll(cpus) as usize, 0),
                Some(_) => Step::Load(word, Acquire),
            },
            22..=23 => Step::Wait(word, value),
            24 => Step::Spin(word, value),
            _ => Step::Choose(2),
        }
    }

    fn steps(&mut self, most: u64, cpus: u64, (line, last): (Option<u8>, usize)) -> Vec<Step> {
        let mut steps: Vec<Step> = (0..1 + self.roll(most)).map(|_| self.step(cpus, line)).collect();
        steps.push(Step::Observe(last, Relaxed));
        steps
    }

    fn test(&mut self, seed: u64) -> Test {
        let cpus = if self.roll(8) == 0 { 3 } else { 2 };
        let most = if cpus == 2 { 3 } else { 2 };
        let mains = (0..cpus).map(|cpu| self.steps(most, cpus, (None, WORDS + cpu as usize))).collect();
        let handler = |dice: &mut Self, line: u8| {
            let last = WORDS + cpus as usize + usize::from(line);
            (line, dice.steps(2, cpus, (Some(line), last)))
        };
        let handlers = BTreeMap::from([handler(self, 0), handler(self, 1)]);
        Test {
            name: format!("seed{seed}"),
            initial: vec![0; WORDS + cpus as usize + 2],
            mains,
            handlers,
            pending: (0..cpus).map(|_| self.pick(&[0, 0, 1, 1, 2, 3])).collect(),
            non_maskable: self.pick(&[0, 0, 1, 2, 3]),
            ..Test::default()
        }
    }
}

fn assert_same(test: &Test, run: &str, found: &BTreeSet<Outcome>, expected: &BTreeSet<Outcome>) {
    let list = |one: &BTreeSet<Outcome>, two: &BTreeSet<Outcome>| {
        one.difference(two).map(Outcome::to_string).collect::<Vec<_>>()
    };
    let (missing, extra) = (list(expected, found), list(found, expected));
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{run}: missing {missing:?}, not expected {extra:?}\n{test}"
    );
}

#[test]
fn random_programs_have_the_outcomes_of_an_enumerator() {
    let number = |name: &str, usual: u64| {
        std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let (from, count) = (number("SEED", 0), number("COUNT", 600));
    let (mut compared, mut ends, mut stuck) = (0, 0, 0);
    for seed in from..from + count {
        let test = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).test(seed);
        for (model, memory) in MODELS {
            let Some(expected) = oracle::outcomes(&test, memory) else { continue };
            assert_same(&test, model, &test.outcomes(&plain(memory), true), &expected);
            let kept = test.outcomes(&plain(memory), false);
            let workers = if seed % 16 == 0 { 2 } else { 1 };
            // Every other program in rounds that put up with what is found late.
            let lenient_above = if seed % 2 == 0 { u64::MAX } else { 0 };
            let less = test.outcomes(&Options { workers, lenient_above, ..reduced(memory) }, false);
            assert_same(&test, &format!("{model}, reduced, {workers} workers"), &less, &kept);
            compared += 1;
            ends += expected.len();
            stuck += expected.iter().filter(|end| end.stuck).count();
        }
    }
    println!("{compared} runs compared, {ends} outcomes, {stuck} of them stuck");
    assert!(compared >= count && ends > compared as usize && stuck > 0, "programs are too dull or too large");
}

#[test]
fn turns_reach_a_part_of_all_outcomes_and_reductions_lose_none_of_it() {
    let mut reached = 0;
    for seed in 0..12 {
        let test = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15)).test(seed);
        for (model, memory) in MODELS {
            let all = test.outcomes(&plain(memory), false);
            for contexts in [2, 4] {
                let few = |options: Options<'static>| {
                    test.outcomes(&Options { contexts: Some(contexts), ..options }, false)
                };
                let (full, less) = (few(plain(memory)), few(reduced(memory)));
                assert!(
                    full.is_subset(&less),
                    "{model}, {contexts} turns: {full:?}, reduced {less:?}\n{test}"
                );
                assert!(less.is_subset(&all), "{model}, {contexts} turns: {less:?} of {all:?}\n{test}");
                reached += full.len();
            }
        }
    }
    assert!(reached > 0, "no execution ends within so few turns");
}
