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
    let mask = CpuMask::new();
    let set = replay_on(&mask, moves);
    (mask, set)
}

fn replay_on(mask: &impl MaskStore, moves: &[(CpuId, bool)]) -> BTreeSet<CpuId> {
    let mut set = BTreeSet::new();
    for &(cpu, enters) in moves {
        let members = Members::of(mask);
        if enters {
            members.add_self(cpu);
            set.insert(cpu);
        } else {
            members.remove_self(cpu);
            set.remove(&cpu);
        }
    }
    set
}

fn visited(members: &Members<'_, impl MaskStore>, me: Option<CpuId>) -> Vec<CpuId> {
    let mut seen = Vec::new();
    members.for_each_other(me, |cpu| seen.push(cpu));
    seen
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
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
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn each_member_but_oneself_is_visited_once_and_in_order(moves in moves(), me in prop::option::of(cpu())) {
        let (mask, mut set) = replay(&moves);
        if let Some(me) = me {
            set.remove(&me);
        }
        prop_assert_eq!(visited(&Members::of(&mask), me), set.into_iter().collect::<Vec<_>>());
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
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
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
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
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn lent_words_are_the_same_mask(moves in moves()) {
        let mut words: [MaskWord; WORDS] = core::array::from_fn(|_| MaskWord::new());
        let lent = BorrowedMask::new(&mut words);
        let set = replay_on(&lent, &moves);
        prop_assert_eq!(visited(&Members::of(&lent), None), set.into_iter().collect::<Vec<_>>());
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn words_that_are_lent_again_have_no_members(moves in moves()) {
        let mut words: [MaskWord; WORDS] = core::array::from_fn(|_| MaskWord::new());
        replay_on(&BorrowedMask::new(&mut words), &moves);
        let again = BorrowedMask::new(&mut words);
        prop_assert_eq!(visited(&Members::of(&again), None), Vec::new());
        prop_assert_eq!(again.summary().map(|summary| summary.0.load(Ordering::Relaxed)), Some(0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn masks_of_every_size_tell_their_members(words in 1_usize..200, picks in prop::collection::vec(0_u32..12_800, 0..40)) {
        let cpus = words as u32 * 64;
        let mut storage: Vec<_> = (0..words).map(|_| MaskWord::new()).collect();
        let mask = BorrowedMask::new(&mut storage);
        let moves: Vec<_> = picks.iter().map(|pick| (CpuId::new(pick % cpus), true)).collect();
        let set = replay_on(&mask, &moves);
        let members = Members::of(&mask);
        for (at, cpu) in set.iter().enumerate() {
            let rest: Vec<_> = set.iter().skip(at).copied().collect();
            let found = members.others(None, cpu.number() / 64).map(|batch| batch.first());
            prop_assert_eq!(found, rest.first().map(|cpu| CpuId::new(cpu.number() / 64 * 64)));
        }
        prop_assert_eq!(visited(&members, None), set.into_iter().collect::<Vec<_>>());
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn what_is_read_of_a_wide_mask_is_what_somebody_joined(moves in moves()) {
        let (mask, _) = replay(&moves);
        let marks = mask.summary().expect("three words have one").0.load(Ordering::Relaxed);
        let joined = moves.iter().filter(|(_, enters)| *enters);
        prop_assert_eq!(marks, joined.fold(0, |marks, (cpu, _)| marks | 1 << (cpu.number() / 64)));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
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

#[test]
#[cfg_attr(miri, ignore = "thousands of words of safe code: no pointer is made of a number here")]
fn marks_are_as_fine_as_a_word_of_them_allows() {
    for words in 65..1_000_usize {
        let mut storage: Vec<_> = (0..words).map(|_| MaskWord::new()).collect();
        let mask = BorrowedMask::new(&mut storage);
        let shift = Members::of(&mask).shift();
        assert!(
            words <= 64 << shift && words > 64 << (shift - 1),
            "{words} words, 1 << {shift} under a mark"
        );
    }
}
