//! The two clients that this project began with: under each memory model both hold, and both notice nine of the rules.

use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios::cases;
use shootdown_explore::{Options, Report, Verdict};
use shootdown_machine::Case;

/// Rules that a worker which borrows one space rests on. Others are about switching between spaces, interrupts that are
/// off, tags, hotplug, and more flushes than the history holds.
const RULES: [u8; 9] = [1, 2, 4, 5, 6, 7, 8, 9, 10];
/// Clients and memory models.
const CASES: usize = 6;

fn clients(fault: Fault) -> Vec<Case> {
    let mut list = cases(fault);
    list.retain(|case| case.groups.contains(&"clients"));
    list
}

fn run(case: &Case) -> Report {
    (case.run)(&Options { memory: case.memory, shortest: false, ..Options::default() })
}

#[test]
fn both_clients_are_visited_whole_under_each_memory_model() {
    let list = clients(Fault::NONE);
    assert_eq!(list.len(), CASES);
    for case in list {
        assert_eq!(run(&case).verdict, Verdict::Holds, "{}", case.name);
    }
}

#[test]
fn both_clients_notice_each_rule_that_they_rest_on() {
    for rule in RULES {
        for case in clients(Fault::rule(rule).expect("a rule")) {
            let verdict = run(&case).verdict;
            assert!(verdict.is_finding(), "{} without SD-{rule}: {verdict:?}", case.name);
        }
    }
}
