//! Outcomes under weak memory against right ones: a table, and an enumerator of executions that follows the axioms.
//!
//! `tables/rc11.gz` has 2,836 programs with all outcomes that RC11 allows, with the release sequences of C++20, computed by
//! herd7 7.57 and by an enumerator in C++, which agree.

#[path = "common/axioms.rs"]
mod axioms;
#[path = "common/rc11.rs"]
mod rc11;

use flate2::read::GzDecoder;
use rc11::{Expected, Litmus, Outcome, Step};
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

fn table() -> Vec<Expected> {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("tables/rc11.gz")[..]).read_to_string(&mut text).unwrap();
    let table = rc11::table(&text);
    assert_eq!(table.len(), 2_836);
    table
}

/// Says how the explorer's outcomes differ, with reductions or without.
fn differences(litmus: &Litmus, right: &BTreeSet<Outcome>) -> Vec<String> {
    let mut wrong = Vec::new();
    for reduced in [false, true] {
        let seen = litmus.outcomes(&rc11::weak(reduced));
        if seen != *right {
            let missing: Vec<_> = right.difference(&seen).collect();
            let extra: Vec<_> = seen.difference(right).collect();
            let name = &litmus.name;
            wrong.push(format!("{name} (reduced: {reduced}): misses {missing:?}, invents {extra:?}"));
        }
    }
    wrong
}

#[test]
fn every_program_of_the_table_has_exactly_its_outcomes() {
    let table = table();
    let wrong: Vec<String> =
        table.iter().flat_map(|expected| differences(&expected.litmus, &expected.outcomes)).collect();
    assert!(wrong.is_empty(), "{} runs differ:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

#[test]
fn the_axioms_say_what_the_table_says() {
    let mut compared = 0;
    for Expected { litmus, outcomes } in table() {
        if let Some(found) = axioms::outcomes(&litmus.threads, litmus.words(), 4_000) {
            assert_eq!(found, outcomes, "{}", litmus.name);
            compared += 1;
        }
    }
    assert!(compared > 2_500, "{compared} compared");
}

#[test]
fn random_programs_have_the_outcomes_that_the_axioms_allow() {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut compared = 0;
    for number in 0..2_000 {
        let (threads, words) = dice.program();
        let Some(right) = axioms::outcomes(&threads, words, 3_000) else { continue };
        let litmus = Litmus::new(format!("random {number} {threads:?}"), threads, words);
        assert_eq!(differences(&litmus, &right), Vec::<String>::new());
        compared += 1;
    }
    assert!(compared > 1_500, "{compared} compared");
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick(&mut self, orders: &[Ordering]) -> Ordering {
        orders[self.roll(orders.len() as u64) as usize]
    }

    fn step(&mut self, words: u64, value: u64) -> Step {
        let x = self.roll(words) as usize;
        let rmw = self.pick(&[Relaxed, Relaxed, Acquire, Release, AcqRel]);
        match self.roll(16) {
            0..=4 => Step::Load(x, self.pick(&[Relaxed, Relaxed, Acquire])),
            5..=9 => Step::Store(x, value, self.pick(&[Relaxed, Relaxed, Release])),
            10 => Step::Add(x, 16, rmw),
            11 => Step::Swap(x, value, rmw),
            12 => Step::Cas(x, (self.roll(2), value), rmw, self.pick(&[Relaxed, Acquire])),
            13 => Step::Fence(self.pick(&[Acquire, Release, AcqRel])),
            _ => Step::Fence(SeqCst),
        }
    }

    /// 2 to 4 threads on 2 or 3 words.
    fn program(&mut self) -> (Vec<Vec<Step>>, usize) {
        let (threads, words) = (2 + self.roll(3), 2 + self.roll(2));
        let most = [0, 0, 6, 4, 3][threads as usize];
        let mut value = 0;
        let mut one = |dice: &mut Self| {
            value += 1;
            dice.step(words, value)
        };
        let mut thread = |dice: &mut Self| (0..1 + dice.roll(most)).map(|_| one(dice)).collect();
        ((0..threads).map(|_| thread(self)).collect(), words as usize)
    }
}
