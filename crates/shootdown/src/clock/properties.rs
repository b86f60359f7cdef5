//! The clock against a list of all requests that were ever made.

extern crate std;

use super::*;
use crate::types::{PageSize, VirtAddr};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::vec::Vec;

/// The same cases in every run.
fn fixed() -> ProptestConfig {
    ProptestConfig {
        cases: 2048,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// What is asked of the clock, one after the other.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request.
    Announce(Scope, Tables),
    /// A generation under which nothing is ever recorded.
    Bump,
    /// A generation whose request is recorded after the next step.
    Late(Scope, Tables),
}

fn scope() -> impl Strategy<Value = Scope> {
    let sizes = prop::sample::select(&[PageSize::Size4K, PageSize::Size2M]);
    let pages =
        (0_u64..64, prop_oneof![4 => 1_u64..8, 1 => 250_u64..260], sizes).prop_map(|(page, count, size)| {
            let start = VirtAddr(page << size.shift());
            Scope::Pages(PageRange::new(start, count, size).expect("low and aligned"))
        });
    prop_oneof![12 => pages, 1 => Just(Scope::All)]
}

fn step() -> impl Strategy<Value = Step> {
    let tables = || prop::sample::select(&[Tables::Kept, Tables::Kept, Tables::Freed]);
    prop_oneof![
        10 => (scope(), tables()).prop_map(|(scope, tables)| Step::Announce(scope, tables)),
        1 => Just(Step::Bump),
        2 => (scope(), tables()).prop_map(|(scope, tables)| Step::Late(scope, tables)),
    ]
}

/// A request as the ring must know it: nothing where it was not recorded or does not fit.
type Known = Option<(PageRange, Tables)>;

fn fits(scope: Scope, tables: Tables) -> Known {
    match scope {
        Scope::Pages(range) if range.count() <= 255 => Some((range, tables)),
        _ => None,
    }
}

/// Runs the steps on a clock, and returns what it must know of each generation from the second on.
fn history(clock: &Clock, steps: &[Step]) -> Vec<Known> {
    let mut known = Vec::new();
    let mut late: Option<(u64, Scope, Tables)> = None;
    for step in steps {
        let before = late.take();
        match *step {
            Step::Announce(scope, tables) => {
                assert_eq!(clock.announce(scope, tables), known.len() as u64 + 2);
                known.push(fits(scope, tables));
            }
            Step::Bump => {
                clock.bump();
                known.push(None);
            }
            Step::Late(scope, tables) => {
                late = Some((clock.bump(), scope, tables));
                known.push(None);
            }
        }
        if let Some((generation, scope, tables)) = before {
            clock.record(generation, Packed::new(scope, tables));
            known[generation as usize - 2] = fits(scope, tables);
        }
    }
    known
}

/// What a CPU at `seen` must flush: the ranges that it missed, or nothing where only everything is safe.
fn expected(known: &[Known], seen: u64, ceiling: u64) -> Option<(Vec<PageRange>, Tables)> {
    let missed = &known[seen as usize - 1..];
    let missed: Vec<_> = missed.iter().copied().collect::<Option<_>>()?;
    let pages: u64 = missed.iter().map(|(range, _)| range.count()).sum();
    let freed = missed.iter().any(|&(_, tables)| tables == Tables::Freed);
    let ranges = missed.into_iter().map(|(range, _)| range).collect::<Vec<_>>();
    let tables = if freed { Tables::Freed } else { Tables::Kept };
    (ranges.len() <= RING && pages <= ceiling).then_some((ranges, tables))
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn a_plan_is_what_was_missed_or_everything(
        steps in prop::collection::vec(step(), 0..3 * RING),
        behind in 0_u64..2 * RING as u64,
        ceiling in prop_oneof![Just(33), 0_u64..64, Just(u64::MAX)],
    ) {
        let clock = Clock::new();
        let known = history(&clock, &steps);
        let now = clock.now();
        prop_assert_eq!(now, steps.len() as u64 + 1);
        let seen = now.saturating_sub(behind).max(1);
        let planned = clock.plan(seen, now, ceiling).map(|plan| {
            let requests = (plan.first..=now).map(|generation| clock.recall(generation));
            let ranges = requests.map(|request| request.map(|(range, _)| range));
            (ranges.collect::<Option<_>>().expect("what was planned is there"), plan.tables)
        });
        prop_assert_eq!(planned, expected(&known, seen, ceiling));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn the_latest_request_is_told_as_it_was_recorded(steps in prop::collection::vec(step(), 1..3 * RING)) {
        let clock = Clock::new();
        let known = history(&clock, &steps);
        prop_assert_eq!(clock.recall(clock.now()), *known.last().expect("not empty"));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn a_record_that_comes_too_late_takes_no_place_from_a_later_one(
        (first, second) in (scope(), scope()),
        between in 0_usize..2 * RING,
    ) {
        let clock = Clock::new();
        let generation = clock.bump();
        for _ in 0..between {
            clock.announce(second, Tables::Kept);
        }
        clock.record(generation, Packed::new(first, Tables::Freed));
        let kept = between < RING;
        prop_assert_eq!(clock.recall(generation), if kept { fits(first, Tables::Freed) } else { None });
        for later in generation + 1..=clock.now() {
            let in_ring = clock.now() - later < RING as u64;
            prop_assert_eq!(clock.recall(later), if in_ring { fits(second, Tables::Kept) } else { None });
        }
    }
}
