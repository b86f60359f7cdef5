//! The number of workers changes nothing about what an exploration of the engine finds.
//!
//! That goes for its counts, too: all code is run in an order that does not depend on workers, so that each position
//! stands for the same histories. Which executions of code that takes depends on who has which run at hand
//! (`Report::executions`).

use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios::cases;
use shootdown_explore::{Options, Report, Verdict};
use shootdown_machine::Case;

/// Cases with more states are left out.
const LIMIT: u64 = 300_000;
fn run(case: &Case, workers: usize) -> Report {
    let options =
        Options { memory: case.memory, workers, collect: true, max_states: LIMIT, ..Options::default() };
    (case.run)(&options)
}

#[test]
fn two_workers_find_what_one_finds() {
    let mut list = cases(Fault::NONE);
    list.retain(|case| case.cpus <= 3 && !case.deep && !case.groups.contains(&"pairs"));
    let mut large = Vec::new();
    for case in &list {
        let alone = run(case, 1);
        if matches!(alone.verdict, Verdict::Stopped(_)) {
            large.push(case.name.as_str());
            continue;
        }
        let both = run(case, 2);
        assert_eq!(alone.verdict, Verdict::Holds, "{}", case.name);
        assert_eq!(alone.verdict, both.verdict, "{}", case.name);
        let counts =
            |report: &Report| (report.states, report.transitions, report.nodes, report.rounds, report.depth);
        assert_eq!(counts(&alone), counts(&both), "{}", case.name);
        let (alone, both) = (alone.reached.expect("collected"), both.reached.expect("collected"));
        assert_eq!(alone.finals, both.finals, "{}", case.name);
        assert_eq!(alone.ends, both.ends, "{}", case.name);
        assert!(!alone.finals.is_empty(), "{}", case.name);
    }
    println!("{} cases compared, too large: {large:?}", list.len() - large.len());
    assert!(
        list.len() >= 5 * large.len(),
        "most cases are compared: {large:?} have more than {LIMIT} states"
    );
    assert!(list.len() - large.len() >= 60, "{} cases compared", list.len() - large.len());
}
