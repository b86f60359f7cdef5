use super::{Bug, CLASSES, Class, Needs, all, cases, problems};
use crate::engine::Fault;
use crate::scenarios;
use shootdown_explore::{Memory, Options, Reductions, Verdict};
use shootdown_machine::{Expected, Model, Variant, run};

const MODELS: [Memory; 3] = [Memory::Sc, Memory::Tso, Memory::Pso];

fn options(memory: Memory) -> Options<'static> {
    Options { memory, ..Options::default() }
}

#[test]
fn broken_protocols_break_as_they_did() {
    for bug in all() {
        let [broken, _] = bug.cases();
        let report = (broken.run)(&options(bug.memory));
        assert!(broken.expected.is_met_by(&report.verdict), "{}: {:?}", bug.name, report.verdict);
        let objections = (broken.objections)(&report, bug.memory);
        assert!(objections.is_empty(), "{}: {objections:?}", bug.name);
        let trace = report.trace.expect("what goes wrong has a trace");
        assert!(trace.steps.len() <= 40, "{}: {} moves", bug.name, trace.steps.len());
        let moves: Vec<_> = trace.steps.iter().map(|step| step.mov).collect();
        let again = (broken.replay)(&options(bug.memory), &moves).expect("the trace can be replayed");
        assert_eq!(again.outcome, trace.outcome, "{}", bug.name);
    }
}

#[test]
fn fixed_protocols_hold_under_every_memory_model() {
    for bug in all() {
        let [_, fixed] = bug.cases();
        for memory in MODELS {
            let report = (fixed.run)(&options(memory));
            assert_eq!(report.verdict, Verdict::Holds, "{} under {memory:?}", fixed.name);
            let objections = (fixed.objections)(&report, memory);
            assert!(objections.is_empty(), "{} under {memory:?}: {objections:?}", fixed.name);
        }
    }
}

/// Checks what the machine says of its operations: if one ran early that must not, states would be missing here.
#[test]
fn reductions_lose_no_local_and_no_final_state() {
    for bug in all() {
        // One model for both runs, as what was reached is told apart by the addresses of words.
        let model: Model = (bug.build)(Variant::Fixed);
        for memory in MODELS {
            let [reduced, full] = [true, false].map(|partial_order| {
                let reductions = Reductions { partial_order, symmetry: false, merge: false };
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
    for bug in all() {
        let [broken, _] = bug.cases();
        let verdict = (broken.run)(&options(Memory::Sc)).verdict;
        let shown = verdict != Verdict::Holds;
        assert_eq!(shown, bug.needs == Needs::Interleaving, "{}: {verdict:?}", bug.name);
    }
}

#[test]
fn headers_are_sound_and_name_scenarios_that_exist() {
    let all: Vec<Bug> = all().copied().collect();
    assert_eq!(problems(&all, &scenarios::cases(Fault::NONE)), []);
}

#[test]
fn bugs_are_in_the_folder_of_their_class() {
    assert_eq!(CLASSES.len(), Class::ALL.len());
    for (class, bugs) in Class::ALL.into_iter().zip(CLASSES) {
        for bug in bugs {
            assert_eq!(bug.class(), class, "{}: {}", bug.name, bug.id);
        }
    }
}

#[test]
fn cases_say_what_their_bugs_say() {
    assert_eq!(cases().len(), 2 * all().count());
    for bug in all() {
        let [broken, fixed] = bug.cases();
        assert_eq!((broken.expected, fixed.expected), (Expected::Violates, Expected::Holds));
        for case in [broken, fixed] {
            assert!(case.name.starts_with(bug.name) && case.story == bug.story);
            assert_eq!((case.memory, case.cpus), (bug.memory, bug.cpus()));
        }
    }
}

#[test]
fn a_swapped_case_keeps_its_name_and_expectation_and_comes_out_otherwise() {
    for bug in all() {
        for variant in [Variant::Broken, Variant::Fixed] {
            let (case, swapped) = (bug.case(variant), bug.swapped(variant));
            assert_eq!((&case.name, case.expected), (&swapped.name, swapped.expected));
            let verdict = (swapped.run)(&options(bug.memory)).verdict;
            assert_eq!(verdict == Verdict::Holds, case.expected == Expected::Violates, "{}", case.name);
        }
    }
}
