//! Each rule that is removed from the engine is noticed by the cases that the table of rules names, in an execution
//! that replays.

use shootdown::trace::rules::Rule;
use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios::cases;
use shootdown_explore::{Memory, Options, Trace};
use shootdown_machine::Case;

const RULES: u8 = Fault::LAST_RULE;
/// States after which a case that the table of rules names counts as one that does not notice.
const LIMIT: u64 = 50_000;
/// The same of other cases: what they notice must replay, and nothing rests on how many of them do. Of 1,207 executions
/// that are found within the limit above 1,159 are found within this one, in two fifths of the time.
const OTHERS: u64 = 5_000;

/// What a case says about a removed rule.
struct Catch {
    rule: u8,
    case: String,
    verdict: String,
    moves: usize,
}

/// Runs a case of the broken engine; checks that what it finds replays.
fn run(rule: u8, case: &Case) -> Option<Catch> {
    let named = Rule::ALL
        .iter()
        .any(|listed| listed.number() == rule && listed.caught_by().contains(&case.name.as_str()));
    let max_states = if named { LIMIT } else { OTHERS };
    let options = Options { memory: case.memory, max_states, shortest: false, ..Options::default() };
    let report = (case.run)(&options);
    if !report.verdict.is_finding() {
        return None;
    }
    let verdict = report.verdict.words().unwrap_or_default().to_owned();
    let name = format!("{} without SD-{rule}", case.name);
    let trace = report.trace.unwrap_or_else(|| panic!("{name}: {verdict}, but no trace"));
    assert_eq!(trace.outcome, verdict, "{name}");
    let moves: Vec<_> = trace.steps.iter().map(|step| step.mov).collect();
    let again =
        (case.replay)(&options, &moves).unwrap_or_else(|(at, why)| panic!("{name}: move {at}: {why}"));
    assert_eq!(again.outcome, verdict, "{name}: the replay ends otherwise");
    // Not the words: whether an array's name carries an index depends on which of its elements a run has met.
    let states = |trace: &Trace| {
        trace.steps.iter().map(|step| (step.mov, step.place, step.state.clone())).collect::<Vec<_>>()
    };
    assert_eq!(states(&again), states(&trace), "{name}: the replay goes otherwise");
    Some(Catch { rule, case: case.name.clone(), verdict, moves: moves.len() })
}

#[test]
fn each_removed_rule_is_caught_by_its_named_case_in_an_execution_that_replays() {
    let mut catches = Vec::new();
    for rule in 1..=RULES {
        let mut list = cases(Fault::rule(rule).expect("there is such a rule"));
        // Weak memory is for what store buffers do not show: orderings, which `mutate-weak` takes out.
        let weak = |case: &Case| case.memory == Memory::Weak;
        list.retain(|case| !case.deep && !case.groups.contains(&"pairs") && !weak(case));
        catches.extend(list.iter().filter_map(|case| run(rule, case)));
    }
    for catch in &catches {
        println!("SD-{:<3} {:26} {:4} moves  {}", catch.rule, catch.case, catch.moves, catch.verdict);
    }
    for rule in Rule::ALL {
        let number = rule.number();
        let by: Vec<_> =
            catches.iter().filter(|catch| catch.rule == number).map(|catch| catch.case.as_str()).collect();
        for name in rule.caught_by() {
            println!("SD-{number:<3} caught by {:2} cases, {name} among them", by.len());
            assert!(
                by.contains(name),
                "SD-{number}: the table of rules names {name}, but only {by:?} notice"
            );
        }
    }
}

#[test]
fn what_the_pairs_notice_replays() {
    let mut catches = Vec::new();
    for rule in 1..=RULES {
        let mut list = cases(Fault::rule(rule).expect("there is such a rule"));
        list.retain(|case| case.groups.contains(&"pairs"));
        catches.extend(list.iter().filter_map(|case| run(rule, case)));
    }
    let by_rule = |rule| catches.iter().filter(|catch| catch.rule == rule).count();
    let counts: Vec<_> = (1..=RULES).map(by_rule).collect();
    println!("pairs that notice each rule's removal: {counts:?}");
    assert!(catches.len() >= 250, "{} executions replayed", catches.len());
}
