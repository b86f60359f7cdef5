//! Every tag allocator's scenarios: all executions are right as shipped, and some is wrong where tags change hands
//! without a flush (SD-12 removed).

use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios::cases;
use shootdown_explore::{Options, Report, Verdict};
use shootdown_machine::Case;

/// The scenarios of each allocator in which tags change hands.
const ALLOCATORS: &[(&str, &[&str])] = &[
    ("PerCpuSlots", &["slots-reuse", "tag-reuse"]),
    ("GlobalAsids, FlushByIpi", &["asid-rollover", "asid-generation-wrap", "asid-pinned"]),
    ("GlobalAsids, FlushByBroadcast", &["asid-broadcast"]),
    ("VersionedContexts", &["contexts-rollover", "contexts-version-wrap"]),
    ("GlobalOverLocal", &["global-tag", "global-tag-wrap"]),
    ("Vmids", &["vmid-rollover", "vmid-generation-wrap"]),
];

fn tags(fault: Fault) -> Vec<Case> {
    let mut list = cases(fault);
    list.retain(|case| case.groups.contains(&"tags"));
    list
}

fn run(case: &Case, shortest: bool) -> Report {
    (case.run)(&Options { memory: case.memory, shortest, ..Options::default() })
}

#[test]
fn every_execution_of_every_allocator_holds_and_all_are_visited() {
    for case in tags(Fault::NONE) {
        let report = run(&case, false);
        assert_eq!(report.verdict, Verdict::Holds, "{}", case.name);
        assert!(report.complete(), "{}: stopped after {} states", case.name, report.states);
    }
}

#[test]
fn without_sd_12_every_allocator_fails() {
    let list = tags(Fault::rule(12).expect("there is such a rule"));
    for (allocator, names) in ALLOCATORS {
        for name in *names {
            let case = list.iter().find(|case| case.name == *name).expect("a scenario of that name");
            let verdict = run(case, false).verdict;
            assert!(verdict.is_finding(), "{allocator}, {name}: {verdict:?}");
        }
    }
}
