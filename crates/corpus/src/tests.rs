use crate::{Bug, Needs, bugs, cases};
use shootdown_explore::{Memory, Options, Reductions, Verdict};
use shootdown_machine::{Expected, Variant, run};
use std::collections::BTreeSet;

const MODELS: [Memory; 3] = [Memory::Sc, Memory::Tso, Memory::Pso];

fn options(memory: Memory) -> Options<'static> {
    Options { memory, ..Options::default() }
}

#[test]
fn broken_protocols_break_as_they_did() {
    for bug in bugs() {
        let [broken, _] = bug.cases();
        let report = (broken.run)(&options(bug.memory));
        let (Verdict::Violates(words) | Verdict::Deadlock(words) | Verdict::Livelock(words)) =
            &report.verdict
        else {
            panic!("{}: {:?}", bug.name, report.verdict);
        };
        assert_eq!(words, bug.ends, "{}", bug.name);
        let trace = report.trace.expect("what goes wrong has a trace");
        assert!(trace.steps.len() <= 40, "{}: {} moves", bug.name, trace.steps.len());
        let moves: Vec<_> = trace.steps.iter().map(|step| step.mov).collect();
        let again = (broken.replay)(&options(bug.memory), &moves).expect("the trace can be replayed");
        assert_eq!(again.outcome, trace.outcome, "{}", bug.name);
    }
}

#[test]
fn fixed_protocols_hold_under_every_memory_model() {
    for bug in bugs() {
        let [_, fixed] = bug.cases();
        for memory in MODELS {
            let report = (fixed.run)(&options(memory));
            assert_eq!(report.verdict, Verdict::Holds, "{} under {memory:?}", fixed.name);
        }
    }
}

/// Checks what the machine says of its operations: if one ran early that must not, states would be missing here.
#[test]
fn reductions_lose_no_local_and_no_final_state() {
    for bug in bugs() {
        // One model for both runs, as what was reached is told apart by the addresses of words.
        let model = (bug.build)(Variant::Fixed);
        for memory in MODELS {
            let [reduced, full] = [true, false].map(|partial_order| {
                let reductions = Reductions { partial_order, symmetry: false, forget: false };
                run(&model, &Options { reductions, collect: true, ..options(memory) }).reached
            });
            let finals = full.as_ref().map_or(0, |reached| reached.finals.len());
            assert!(finals > 0, "{}: nothing is reached", bug.name);
            assert_eq!(reduced, full, "{} under {memory:?}", bug.name);
        }
    }
}

#[test]
fn only_bugs_that_need_a_store_buffer_are_hidden_by_sequential_consistency() {
    for bug in bugs() {
        let [broken, _] = bug.cases();
        let verdict = (broken.run)(&options(Memory::Sc)).verdict;
        let shown = verdict != Verdict::Holds;
        assert_eq!(shown, bug.needs == Needs::Interleaving, "{}: {verdict:?}", bug.name);
    }
}

#[test]
fn bugs_are_distinct_and_cite_rules_that_exist() {
    let ids: BTreeSet<_> = bugs().map(|bug| bug.id).collect();
    let names: BTreeSet<_> = bugs().map(|bug| bug.name).collect();
    assert_eq!((ids.len(), names.len()), (bugs().count(), bugs().count()));
    bugs().for_each(well_formed);
}

#[track_caller]
fn well_formed(bug: &Bug) {
    let Bug { name, rules, story, about, class, .. } = bug;
    assert!(!rules.is_empty() && rules.iter().all(|n| (1..=14).contains(n)), "{name}: {rules:?}");
    let words = story.split_whitespace().count();
    assert!((150..=310).contains(&words), "{name}: a story of {words} words");
    assert!(about.len() <= 200, "{name}: {} characters of about", about.len());
    assert!(bug.id.starts_with(class.letter()), "{name}: {} is not of class {class:?}", bug.id);
    assert!(!bug.code.is_empty() && bug.code.iter().all(|(_, text)| !text.is_empty()), "{name}: no code");
}

#[test]
fn cases_say_what_their_bugs_say() {
    assert_eq!(cases().len(), 2 * bugs().count());
    for bug in bugs() {
        let [broken, fixed] = bug.cases();
        assert_eq!((broken.expected, fixed.expected), (Expected::Violates, Expected::Holds));
        for case in [broken, fixed] {
            assert!(case.name.starts_with(bug.name) && case.story == bug.story);
            assert_eq!((case.memory, case.cpus), (bug.memory, bug.cpus));
        }
    }
}
