//! The clock against a list of all requests that were ever made.

extern crate std;

use super::*;
use crate::types::{PageRange, PageSize, VirtAddr};
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

/// Calls of the clock, one after the other.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request.
    Announce(FlushRequest),
    /// A generation under which nothing is ever recorded.
    Bump,
    /// A generation whose request is recorded after the next step.
    Delayed(FlushRequest),
}

fn request() -> impl Strategy<Value = FlushRequest> {
    let sizes = prop::sample::select(&[PageSize::Size4K, PageSize::Size2M]);
    let pages =
        (0_u64..64, prop_oneof![4 => 1_u64..8, 1 => 250_u64..260], sizes).prop_map(|(page, count, size)| {
            let start = VirtAddr(page << size.shift());
            FlushRequest::pages(PageRange::new(start, count, size).expect("low and aligned"))
        });
    let request = prop_oneof![12 => pages, 1 => Just(FlushRequest::all())];
    (request, prop::bool::weighted(1.0 / 3.0))
        .prop_map(|(request, tables)| if tables { request.tables_freed() } else { request })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => request().prop_map(Step::Announce),
        1 => Just(Step::Bump),
        2 => request().prop_map(Step::Delayed),
    ]
}

/// A request as the history must return it.
fn fits(request: FlushRequest) -> FlushRequest {
    let long = request.range().is_some_and(|range| range.count() > 255);
    match (long, request.frees_tables()) {
        (false, _) => request,
        (true, false) => FlushRequest::all(),
        (true, true) => FlushRequest::all().tables_freed(),
    }
}

/// Runs the steps on a clock, and returns what it must know of each generation from the second on.
fn record_all(history: &FlushHistory, steps: &[Step]) -> Vec<FlushRequest> {
    let mut known = Vec::new();
    let mut delayed: Option<(u64, FlushRequest)> = None;
    for step in steps {
        let before = delayed.take();
        match *step {
            Step::Announce(request) => {
                assert_eq!(history.announce(request), known.len() as u64 + 2);
                known.push(fits(request));
            }
            Step::Bump => {
                history.bump();
                known.push(FlushRequest::all());
            }
            Step::Delayed(request) => {
                delayed = Some((history.bump(), request));
                known.push(FlushRequest::all());
            }
        }
        if let Some((generation, request)) = before {
            history.record(generation, request);
            known[generation as usize - 2] = fits(request);
        }
    }
    known
}

/// What a CPU at `seen` must flush: the ranges that it missed, or nothing where only everything is safe.
fn expected(known: &[FlushRequest], seen: u64, ceiling: u64) -> Option<(Vec<PageRange>, bool)> {
    let missed = &known[seen as usize - 1..];
    let ranges: Vec<_> = missed.iter().map(FlushRequest::range).collect::<Option<_>>()?;
    let pages: u64 = ranges.iter().map(PageRange::count).sum();
    let freed = missed.iter().any(FlushRequest::frees_tables);
    (ranges.len() <= HISTORY_LEN && pages <= ceiling).then_some((ranges, freed))
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
            let ranges = (plan.first..=now).map(|generation| history.recall(generation).range());
            (ranges.collect::<Option<_>>().expect("what was planned is there"), plan.frees_tables)
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
        (first, second) in (request(), request()),
        between in 0_usize..2 * HISTORY_LEN,
    ) {
        let history = FlushHistory::new();
        let generation = history.bump();
        for _ in 0..between {
            history.announce(second);
        }
        history.record(generation, first);
        let kept = between < HISTORY_LEN;
        prop_assert_eq!(history.recall(generation), if kept { fits(first) } else { FlushRequest::all() });
        for later in generation + 1..=history.now() {
            let in_history = history.now() - later < HISTORY_LEN as u64;
            prop_assert_eq!(history.recall(later), if in_history { fits(second) } else { FlushRequest::all() });
        }
    }
}
