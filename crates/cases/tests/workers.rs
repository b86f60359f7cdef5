//! The number of workers changes nothing about what an exploration of the engine finds.
//!
//! It may change how many states are stored, and which positions are passed. Histories are merged where the bytes on two stacks
//! are the same, and what runs on another thread may leave other bytes there: addresses of that thread's, which may lie where
//! nothing reads them any more. Such histories stay apart, which costs states and nothing else. So what is compared is the
//! verdict, and the memory in which executions end.

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
