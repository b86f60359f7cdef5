//! The exercise of Linux commit bafb056ce279: few cross calls, without the race.

use shootdown_lab::bench::{Row, bench};
use shootdown_lab::machine::CpuCount;
use shootdown_lab::policy::PolicyKind;
use shootdown_lab::workload::{Params, WorkloadKind};

fn rows(workload: WorkloadKind) -> [Row; 3] {
    let params = Params { cpus: CpuCount::new(16).expect("a number of CPUs"), spaces: 8, seed: 1 };
    [PolicyKind::LinuxSparc64Racy, PolicyKind::LinuxSparc64, PolicyKind::Shootdown].map(|policy| {
        let row = bench(policy, workload, params);
        println!(
            "{} {}: {} IPIs, {} stale",
            row.workload, row.policy, row.totals.sent, row.totals.violations
        );
        row
    })
}

#[test]
fn the_count_shortcut_lets_a_borrower_use_what_was_given_away() {
    let [before, after, engine] = rows(WorkloadKind::Sqpoll);
    assert!(before.totals.violations > 0);
    assert_eq!((after.totals.violations, engine.totals.violations), (0, 0));
}

#[test]
fn the_engine_saves_the_cross_calls_that_the_fix_gave_back() {
    for workload in [WorkloadKind::SingleAfterMany, WorkloadKind::Sqpoll] {
        let [before, after, engine] = rows(workload);
        assert!(before.totals.sent < after.totals.sent, "{}", workload.name());
        assert!(engine.totals.sent < after.totals.sent, "{}", workload.name());
    }
}
