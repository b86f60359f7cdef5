//! Outcomes under weak memory against right ones: a table, and an enumerator of executions that follows the axioms.
//!
//! `tables/rc11.gz` has 2,836 programs with all outcomes that RC11 allows, with the release sequences of C++20,
//! computed by herd7 7.57 and by an enumerator in C++, which agree.

use crate::common::rc11::{Expected, Litmus, Outcome, Step};
use crate::common::{axioms, rc11};
use flate2::read::GzDecoder;
use shootdown_explore::{Verdict, explore};
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

/// Says how the explorer's outcomes differ: without reductions, with them, and with them where nobody looks at memory
/// in the end.
fn differences(litmus: &Litmus, right: &BTreeSet<Outcome>) -> Vec<String> {
    let registers = |outcome: &Outcome| outcome[..outcome.len() - litmus.words()].to_vec();
    let read: BTreeSet<Outcome> = right.iter().map(registers).collect();
    let runs = [
        ("plain", litmus.outcomes(&rc11::weak(false)), right),
        ("reduced", litmus.outcomes(&rc11::weak(true)), right),
        ("reduced, unwatched", litmus.unwatched().outcomes(&rc11::weak(true)), &read),
    ];
    let mut wrong = Vec::new();
    for (run, seen, right) in runs {
        if seen != *right {
            let missing: Vec<_> = right.difference(&seen).collect();
            let extra: Vec<_> = seen.difference(right).collect();
            wrong.push(format!("{} ({run}): misses {missing:?}, invents {extra:?}", litmus.name));
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
        if let Some(found) = axioms::outcomes(&litmus.threads, litmus.words(), &[], 4_000) {
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
        let Some(right) = axioms::outcomes(&threads, words, &[], 3_000) else { continue };
        let litmus = Litmus::new(format!("random {number} {threads:?}"), threads, words);
        assert_eq!(differences(&litmus, &right), Vec::<String>::new());
        compared += 1;
    }
    assert!(compared > 1_500, "{compared} compared");
}

/// Why `threads` are not explored to the end.
fn stopped(threads: Vec<Vec<Step>>, words: usize, reduced: bool) -> String {
    match explore(&Litmus::new("too many", threads, words), &rc11::weak(reduced)).verdict {
        Verdict::Stopped(reason) => reason,
        verdict => panic!("{verdict:?} instead of a stop"),
    }
}

#[test]
fn more_stores_than_fit_stop_and_are_no_pass() {
    let stores = |word: usize, count: u64| (1..=count).map(move |value| Step::Store(word, value, Relaxed));
    // The other CPU reads the word in the end, so that none of the stores is dropped.
    let reader = vec![Step::Load(0, Relaxed)];
    for reduced in [false, true] {
        let reason = stopped(vec![stores(0, 33).collect(), reader.clone()], 1, reduced);
        assert_eq!(reason, "x: a word has more stores that can still be read than fit");
    }
    // Without reductions nobody knows that it does not read the other words.
    let all = (0..18).flat_map(|word| stores(word, 29)).collect();
    let reason = stopped(vec![all, reader], 18, false);
    assert!(reason.ends_with(": there are more stores that can still be read than fit"), "{reason}");
}

#[test]
fn more_words_than_views_have_room_for_stop_and_are_no_pass() {
    let one_too_many = (0..240).map(|word| Step::Store(word, 1, Relaxed)).collect();
    let reason = stopped(vec![one_too_many], 240, true);
    assert!(reason.starts_with("more than 239 words are in use"), "{reason}");
    let fits = Litmus::new("239", vec![(0..239).map(|word| Step::Store(word, 1, Relaxed)).collect()], 239);
    assert_eq!(fits.outcomes(&rc11::weak(true)), [vec![1; 239]].into());
}

#[test]
fn more_full_fences_than_fit_stop_and_are_no_pass() {
    let fences =
        |count: u64| (0..count).flat_map(|value| [Step::Store(0, value, Relaxed), Step::Fence(SeqCst)]);
    let once = [Step::Fence(SeqCst), Step::Load(0, Relaxed)].to_vec();
    let reason = stopped(vec![fences(40).collect(), once.clone(), once], 1, true);
    let (fences, stores) =
        ("more fences are to be kept in order than fit", "x: a word has more stores that can");
    assert!(reason == fences || reason.starts_with(stores), "{reason}");
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
