//! Masks against sets of numbers.

extern crate std;

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::BTreeSet;
use std::vec::Vec;

const WORDS: usize = 3;
const CPUS: u32 = 64 * WORDS as u32;

/// The same cases in every run.
fn fixed() -> ProptestConfig {
    ProptestConfig {
        cases: 2048,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A CPU of any number, and often one at the edge of a word.
fn cpu() -> impl Strategy<Value = CpuId> {
    prop_oneof![0..CPUS, prop::sample::select(&[0, 63, 64, 127, 128, CPUS - 1])].prop_map(CpuId::new)
}

/// CPUs that enter (`true`) and leave, and the set of those that are in.
fn moves() -> impl Strategy<Value = Vec<(CpuId, bool)>> {
    prop::collection::vec((cpu(), prop_oneof![3 => Just(true), 1 => Just(false)]), 0..120)
}

fn replay(moves: &[(CpuId, bool)]) -> (CpuMask<WORDS>, BTreeSet<CpuId>) {
    let (mask, mut set) = (CpuMask::new(), BTreeSet::new());
    for &(cpu, enters) in moves {
        let members = Members::of(&mask);
        if enters {
            members.add_self(cpu);
            set.insert(cpu);
        } else {
            members.remove_self(cpu);
            set.remove(&cpu);
        }
    }
    (mask, set)
}

fn visited(members: &Members<'_>, me: Option<CpuId>) -> Vec<CpuId> {
    let mut seen = Vec::new();
    members.for_each_other(me, |cpu| seen.push(cpu));
    seen
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    fn a_mask_is_the_set_of_those_who_entered_and_did_not_leave(moves in moves()) {
        let (mask, set) = replay(&moves);
        let members = Members::of(&mask);
        prop_assert_eq!(members.capacity(), CPUS as usize);
        for cpu in (0..CPUS).map(CpuId::new) {
            prop_assert_eq!(members.contains(cpu), set.contains(&cpu));
            prop_assert_eq!(members.holds(cpu), set.contains(&cpu));
        }
    }

    #[test]
    fn each_member_but_oneself_is_visited_once_and_in_order(moves in moves(), me in prop::option::of(cpu())) {
        let (mask, mut set) = replay(&moves);
        if let Some(me) = me {
            set.remove(&me);
        }
        prop_assert_eq!(visited(&Members::of(&mask), me), set.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn batches_are_whole_words_none_of_them_empty(moves in moves(), me in prop::option::of(cpu())) {
        let (mask, set) = replay(&moves);
        let mut seen = BTreeSet::new();
        let mut words = Vec::new();
        Members::of(&mask).for_each_batch(me, |batch| {
            assert_ne!(batch.bits(), 0);
            assert_eq!(batch.first().number(), batch.word * 64);
            words.push(batch.word);
            let bits = (0..64).filter(|bit| batch.bits() >> bit & 1 == 1);
            seen.extend(bits.map(|bit| CpuId::new(batch.first().number() + bit)));
        });
        prop_assert!(words.is_sorted_by(|a, b| a < b), "{:?}", words);
        prop_assert_eq!(seen, set.into_iter().filter(|&cpu| Some(cpu) != me).collect());
    }

    #[test]
    fn the_rest_of_a_mask_begins_at_the_word_that_is_named(
        moves in moves(),
        me in prop::option::of(cpu()),
        first in 0..=WORDS as u32,
    ) {
        let (mask, set) = replay(&moves);
        let rest = |cpu: &&CpuId| Some(**cpu) != me && cpu.number() / 64 >= first;
        let expected = set.iter().find(rest).copied();
        let found = Members::of(&mask).others(me, first);
        prop_assert_eq!(found.and_then(|mut batch| batch.next()), expected);
    }

    #[test]
    fn lent_words_are_the_same_mask(moves in moves()) {
        let (mask, set) = replay(&moves);
        let lent = BorrowedMask::new(mask.words());
        prop_assert_eq!(visited(&Members::of(&lent), None), set.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn who_leaves_takes_nobody_along(moves in moves(), leaver in cpu()) {
        let (mask, mut set) = replay(&moves);
        let members = Members::of(&mask);
        members.remove_self(leaver);
        set.remove(&leaver);
        prop_assert_eq!(visited(&members, None), set.iter().copied().collect::<Vec<_>>());
        members.add_self(leaver);
        members.add_self(leaver);
        set.insert(leaver);
        prop_assert_eq!(visited(&members, None), set.into_iter().collect::<Vec<_>>());
    }
}
