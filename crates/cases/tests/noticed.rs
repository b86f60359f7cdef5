//! The engine's scenario that a bug names shows something: without one of the rules that the bug breaks, or one of the engine's
//! orderings, it fails. Where nothing of that is the engine's to keep, the bug says whose it is.

use shootdown_cases::bugs;
use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios::cases;
use shootdown_explore::Options;
use std::collections::{BTreeMap, BTreeSet};

/// States after which a scenario counts as one that does not notice.
const LIMIT: u64 = 100_000;

/// Whether `scenario` fails with this fault in the engine.
fn fails(scenario: &str, fault: Fault) -> bool {
    let list = cases(fault);
    let case = list.iter().find(|case| case.name == scenario);
    let case = case.unwrap_or_else(|| panic!("there is no scenario {scenario}"));
    let options = Options { memory: case.memory, max_states: LIMIT, shortest: false, ..Options::default() };
    (case.run)(&options).verdict.is_finding()
}

/// Rules without which `scenario` fails, of those that the bugs which name it break.
fn noticed(scenario: &str, rules: &BTreeSet<u8>) -> BTreeSet<u8> {
    let fault = |rule: &u8| Fault::rule(*rule).unwrap_or_else(|| panic!("there is no rule SD-{rule}"));
    rules.iter().copied().filter(|rule| fails(scenario, fault(rule))).collect()
}

/// An ordering without which `scenario` fails.
fn ordering(scenario: &str) -> Option<&'static str> {
    let fault = |site: &&str| Fault::site(site).unwrap_or_else(|| panic!("there is no ordering {site}"));
    Fault::sites().into_iter().find(|site| fails(scenario, fault(site)))
}

#[test]
fn the_scenario_that_a_bug_names_notices_a_rule_or_an_ordering_or_the_bug_says_whose_duty_it_is() {
    let mut wanted: BTreeMap<&str, BTreeSet<u8>> = BTreeMap::new();
    for bug in bugs::all() {
        wanted.entry(bug.engine).or_default().extend(bug.rules);
    }
    let noticed: BTreeMap<&str, BTreeSet<u8>> =
        wanted.iter().map(|(scenario, rules)| (*scenario, noticed(scenario, rules))).collect();
    let mut wrong = Vec::new();
    for bug in bugs::all() {
        let by: Vec<u8> =
            bug.rules.iter().copied().filter(|rule| noticed[bug.engine].contains(rule)).collect();
        if by.is_empty() && bug.duty.is_empty() && ordering(bug.engine).is_none() {
            let (name, scenario, rules) = (bug.name, bug.engine, bug.rules);
            wrong.push(format!(
                "{name}: {scenario} does not fail without one of {rules:?}, but without {:?}",
                noticed[scenario]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), bugs::all().count(), wrong.join("\n"));
}
