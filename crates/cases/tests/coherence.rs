//! Scenarios of the coherence layer fail without the rule, or with the ordering weakened, that they are there for.

use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios::{cases, mistakes};
use shootdown_explore::{Memory, Options};
use shootdown_machine::Case;

/// Scenario, and the rule without which it fails.
const RULES: [(&str, u8); 42] = [
    ("enter-vs-flush", 2),
    ("enter-kept-tag", 5),
    ("enter-kept-tag-table", 5),
    ("enter-tag-reuse", 12),
    ("entry-dropped", 3),
    ("exit-lazy-page", 5),
    ("exit-lazy", 7),
    ("will-load-vs-flush", 1),
    ("will-load-again", 6),
    ("will-load-lazy", 1),
    ("will-load-lazy-page", 1),
    ("will-load-away", 1),
    ("retire-vs-lazy", 10),
    ("retire-evicts", 10),
    ("retire-asked", 10),
    ("batch-of-spaces", 17),
    ("batch-vs-return", 17),
    ("batch-table", 17),
    ("nested-gathers-batch", 15),
    ("nested-gathers-deferred", 15),
    ("deferred-table", 18),
    ("deferred-kernel-tick", 18),
    ("user-mode-retired", 20),
    ("code-vs-switch", 21),
    ("code-vs-broadcast", 21),
    ("code-kernel-broadcast", 21),
    ("code-vs-user-mode", 21),
    ("secondary-nobody", 22),
    ("secondary-device", 22),
    ("secondary-table-alone", 22),
    ("secondary-table", 22),
    ("secondary-kernel", 22),
    ("secondary-masked", 22),
    ("secondary-firmware", 22),
    ("secondary-retired", 22),
    ("secondary-retired-alone", 22),
    ("secondary-moved", 22),
    ("secondary-deferred", 22),
    ("secondary-deferred-alone", 22),
    ("secondary-batch", 22),
    ("secondary-nested-retired", 22),
    ("secondary-exit", 22),
];

/// Scenario under partial store order, and the ordering that it needs.
const ORDERINGS: [(&str, &str); 7] = [
    ("enter-vs-flush/pso", "switch-fence"),
    ("enter-kept-tag/pso", "switch-fence"),
    ("will-load-vs-flush/pso", "bump"),
    ("batch-vs-switch/pso", "bump"),
    ("deferred-tick/pso", "bump"),
    ("deferred-kernel-tick/pso", "bump"),
    ("user-mode-entry/pso", "exit-user-fence"),
];

fn is_found(case: &Case) -> bool {
    let options = Options { memory: case.memory, shortest: false, ..Options::default() };
    (case.run)(&options).verdict.is_finding()
}

#[track_caller]
fn must_find(fault: Option<Fault>, name: &str, without: &str) {
    let cases = cases(fault.expect("a rule or an ordering"));
    let case = cases.iter().find(|case| case.name == name).expect("a scenario");
    assert!(is_found(case), "{name} holds without {without}");
}

#[test]
fn each_scenario_fails_without_its_rule() {
    for (name, rule) in RULES {
        must_find(Fault::rule(rule), name, &format!("SD-{rule}"));
    }
}

#[test]
fn each_scenario_fails_where_its_ordering_is_weakened() {
    for (name, site) in ORDERINGS {
        must_find(Fault::site(site), name, site);
    }
}

#[test]
fn embedders_who_break_a_promise_are_found() {
    let mistakes = mistakes();
    let mistakes = mistakes.iter().filter(|case| case.memory != Memory::Weak);
    for case in mistakes {
        assert!(is_found(case), "{}: {}", case.name, case.about);
    }
}
