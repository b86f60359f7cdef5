//! The exercise of Linux commit bafb056ce279: few cross calls, without the race.

use shootdown_bench::bench::{Row, exercise};
use shootdown_bench::machine::CpuCount;

fn rows() -> [[Row; 2]; 3] {
    exercise(CpuCount::new(16).expect("a number of CPUs"), 1)
}

#[test]
fn the_count_shortcut_lets_a_borrower_use_what_was_given_away() {
    let [[_, before], after, engine] = rows();
    assert!(before.totals.violations > 0);
    assert!(after.iter().chain(&engine).all(|row| row.totals.violations == 0));
}

#[test]
fn the_engine_saves_the_cross_calls_that_the_fix_gave_back() {
    let [before, after, engine] = rows();
    for workload in 0..2 {
        let sent = |rows: &[Row; 2]| rows[workload].totals.sent;
        assert!(sent(&before) < sent(&after));
        assert!(sent(&engine) < sent(&after));
    }
}
