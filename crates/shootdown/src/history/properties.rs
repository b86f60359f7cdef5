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
    Announce(Scope, PageTables),
    /// A generation under which nothing is ever recorded.
    Bump,
    /// A generation whose request is recorded after the next step.
    Delayed(Scope, PageTables),
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
    let tables = || prop::sample::select(&[PageTables::Kept, PageTables::Kept, PageTables::Freed]);
    prop_oneof![
        10 => (scope(), tables()).prop_map(|(scope, tables)| Step::Announce(scope, tables)),
        1 => Just(Step::Bump),
        2 => (scope(), tables()).prop_map(|(scope, tables)| Step::Delayed(scope, tables)),
    ]
}

/// A request as the history must hold it: nothing if it was not recorded or does not fit.
type Known = Option<(PageRange, PageTables)>;

fn fits(scope: Scope, tables: PageTables) -> Known {
    match scope {
        Scope::Pages(range) if range.count() <= 255 => Some((range, tables)),
        _ => None,
    }
}

/// Runs the steps on a clock, and returns what it must know of each generation from the second on.
fn record_all(history: &FlushHistory, steps: &[Step]) -> Vec<Known> {
    let mut known = Vec::new();
    let mut late: Option<(u64, Scope, PageTables)> = None;
    for step in steps {
        let before = late.take();
        match *step {
            Step::Announce(scope, tables) => {
                assert_eq!(history.announce(scope, tables), known.len() as u64 + 2);
                known.push(fits(scope, tables));
            }
            Step::Bump => {
                history.bump();
                known.push(None);
            }
            Step::Delayed(scope, tables) => {
                late = Some((history.bump(), scope, tables));
                known.push(None);
            }
        }
        if let Some((generation, scope, tables)) = before {
            history.record(generation, Packed::new(scope, tables));
            known[generation as usize - 2] = fits(scope, tables);
        }
    }
    known
}

/// What a CPU at `seen` must flush: the ranges that it missed, or nothing where only everything is safe.
fn expected(known: &[Known], seen: u64, ceiling: u64) -> Option<(Vec<PageRange>, PageTables)> {
    let missed = &known[seen as usize - 1..];
    let missed: Vec<_> = missed.iter().copied().collect::<Option<_>>()?;
    let pages: u64 = missed.iter().map(|(range, _)| range.count()).sum();
    let freed = missed.iter().any(|&(_, tables)| tables == PageTables::Freed);
    let ranges = missed.into_iter().map(|(range, _)| range).collect::<Vec<_>>();
    let tables = if freed { PageTables::Freed } else { PageTables::Kept };
    (ranges.len() <= HISTORY_LEN && pages <= ceiling).then_some((ranges, tables))
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn a_plan_is_what_was_missed_or_everything(
        steps in prop::collection::vec(step(), 0..3 * HISTORY_LEN),
        behind in 0_u64..2 * HISTORY_LEN as u64,
        ceiling in prop_oneof![Just(33), 0_u64..64, Just(u64::MAX)],
    ) {
        let history = FlushHistory::new();
        let known = record_all(&history, &steps);
        let now = history.now();
        prop_assert_eq!(now, steps.len() as u64 + 1);
        let seen = now.saturating_sub(behind).max(1);
        let planned = history.plan(seen, now, ceiling).map(|plan| {
            let requests = (plan.first..=now).map(|generation| history.recall(generation));
            let ranges = requests.map(|request| request.map(|(range, _)| range));
            (ranges.collect::<Option<_>>().expect("what was planned is there"), plan.tables)
        });
        prop_assert_eq!(planned, expected(&known, seen, ceiling));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn the_latest_request_is_told_as_it_was_recorded(steps in prop::collection::vec(step(), 1..3 * HISTORY_LEN)) {
        let history = FlushHistory::new();
        let known = record_all(&history, &steps);
        prop_assert_eq!(history.recall(history.now()), *known.last().expect("not empty"));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn a_record_that_comes_too_late_takes_no_place_from_a_later_one(
        (first, second) in (scope(), scope()),
        between in 0_usize..2 * HISTORY_LEN,
    ) {
        let history = FlushHistory::new();
        let generation = history.bump();
        for _ in 0..between {
            history.announce(second, PageTables::Kept);
        }
        history.record(generation, Packed::new(first, PageTables::Freed));
        let kept = between < HISTORY_LEN;
        prop_assert_eq!(history.recall(generation), if kept { fits(first, PageTables::Freed) } else { None });
        for later in generation + 1..=history.now() {
            let in_history = history.now() - later < HISTORY_LEN as u64;
            prop_assert_eq!(history.recall(later), if in_history { fits(second, PageTables::Kept) } else { None });
        }
    }
}
