//! The engine's scenario that a bug names shows something: without one of the rules that the bug breaks, or one of the
//! orderings that keep these, it fails. Where nothing of that is the engine's to keep, the bug says whose it is.

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

/// The rules that an ordering of the engine keeps: the second column of its row in INVARIANTS.md.
fn rules_of(site: &str) -> BTreeSet<u8> {
    let row = |line: &&str| line.starts_with(&format!("| `{site}` |"));
    let row = include_str!("../../../INVARIANTS.md").lines().find(row);
    let rules = row.and_then(|row| row.split('|').nth(2)).unwrap_or_else(|| panic!("{site} has no row"));
    let rules = rules.split(',').map(|rule| rule.trim().strip_prefix("SD-").and_then(|n| n.parse().ok()));
    rules.collect::<Option<_>>().unwrap_or_else(|| panic!("the row of {site} names no rule"))
}

/// Whether `scenario` fails without one of the orderings that keep one of `rules`.
fn notices_ordering(scenario: &str, rules: &[u8]) -> bool {
    let fault = |site: &str| Fault::site(site).unwrap_or_else(|| panic!("there is no ordering {site}"));
    let keeps = |site: &&str| rules_of(site).iter().any(|rule| rules.contains(rule));
    Fault::sites().into_iter().filter(keeps).any(|site| fails(scenario, fault(site)))
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
        if by.is_empty() && bug.duty.is_empty() && !notices_ordering(bug.engine, bug.rules) {
            let (name, scenario, rules) = (bug.name, bug.engine, bug.rules);
            wrong.push(format!(
                "{name}: {scenario} does not fail without one of {rules:?}, but without {:?}",
                noticed[scenario]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), bugs::all().count(), wrong.join("\n"));
}
