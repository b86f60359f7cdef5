//! Rules of the protocol, removed one at a time: the random schedules must notice.

mod support;

use shootdown_under_shuttle::fault;
use shuttle::scheduler::RandomScheduler;
use std::time::Instant;
use support::{Kept, Kind, OneTag, Plain, Tagged, explore};

/// Rule, and the kind of machine that shows it.
///
/// Missing are SD-2 and SD-14, whose windows are too small to be hit at random on 16 CPUs (a flush must read the mask twice
/// within one switch; a CPU must miss nine requests in a row none of which was widened). The explorer covers both.
const CAUGHT_BY: &[(u8, &str, fn())] = &[
    (1, "plain", run::<Plain>),
    (3, "kept bits", run::<Kept>),
    (4, "plain", run::<Plain>),
    (5, "tags", run::<Tagged>),
    (6, "tags", run::<Tagged>),
    (7, "plain", run::<Plain>),
    (8, "plain", run::<Plain>),
    (9, "plain", run::<Plain>),
    (10, "plain", run::<Plain>),
    (11, "plain", run::<Plain>),
    (12, "one tag", run::<OneTag>),
    (13, "kept bits", run::<Kept>),
];

fn run<K: Kind>() {
    explore::<K>(RandomScheduler::new_from_seed(1, 4_000), 40);
}

#[test]
fn removed_rules_are_noticed() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut rows = Vec::new();
    for &(rule, kind, run) in CAUGHT_BY {
        let start = Instant::now();
        // shuttle runs its tasks as coroutines of this thread, so all of them see what is injected here.
        fault::inject(fault::rule(rule).expect("a rule"));
        let failed = std::panic::catch_unwind(run).err();
        fault::inject(0);
        let what = failed.map(|why| why.downcast_ref::<String>().cloned().unwrap_or_default());
        rows.push((rule, kind, what, start.elapsed().as_secs_f64()));
    }
    std::panic::set_hook(hook);
    println!("rule  | machine    | seconds | noticed");
    for (rule, kind, what, seconds) in &rows {
        println!("SD-{rule:<2} | {kind:<10} | {seconds:7.2} | {}", what.as_deref().unwrap_or("NOTHING"));
    }
    let missed: Vec<_> = rows.iter().filter(|row| row.2.is_none()).map(|row| row.0).collect();
    assert!(missed.is_empty(), "rules that nobody missed: {missed:?}");
}
