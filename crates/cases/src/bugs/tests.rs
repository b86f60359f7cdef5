use super::{Bug, CLASSES, Class, Needs, Right, all, cases, problems};
use crate::engine::Fault;
use crate::scenarios;
use shootdown_explore::{Memory, Options, Reductions, Verdict};
use shootdown_machine::{Expected, Variant, run};

fn options(memory: Memory) -> Options<'static> {
    Options { memory, ..Options::default() }
}

#[test]
fn broken_protocols_break_as_they_did() {
    for bug in all() {
        for case in bug.cases().into_iter().filter(|case| case.expected == Expected::Violates) {
            let report = (case.run)(&options(bug.memory));
            assert!(case.expected.is_met_by(&report.verdict), "{}: {:?}", case.name, report.verdict);
            let objections = (case.objections)(&report, bug.memory);
            assert!(objections.is_empty(), "{}: {objections:?}", case.name);
            let trace = report.trace.expect("what goes wrong has a trace");
            assert!(trace.steps.len() <= 40, "{}: {} moves", case.name, trace.steps.len());
            let moves: Vec<_> = trace.steps.iter().map(|step| step.mov).collect();
            let again = (case.replay)(&options(bug.memory), &moves).expect("the trace can be replayed");
            assert_eq!(again.outcome, trace.outcome, "{}", case.name);
        }
    }
}

#[test]
fn each_protocol_comes_out_under_each_memory_model_as_its_case_states() {
    let mut otherwise = Vec::new();
    for case in cases() {
        assert_eq!(case.stated.len(), Right::MODELS.len(), "{}", case.name);
        for &(memory, expected) in &case.stated {
            let report = (case.run)(&options(memory));
            if !expected.is_met_by(&report.verdict) {
                otherwise.push(format!("{} under {memory:?}: {:?}", case.name, report.verdict));
            }
            let objections = (case.objections)(&report, memory);
            otherwise.extend(objections.iter().map(|one| format!("{} under {memory:?}: {one}", case.name)));
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
}

/// Checks what the machine says of its operations: if one ran early that must not, states would be missing here.
#[test]
fn reductions_lose_no_local_and_no_final_state() {
    for bug in all() {
        // One model for both runs, as what was reached is told apart by the addresses of words.
        let model = bug.model(Variant::Fixed).expect("a model");
        for memory in [Memory::Sc, Memory::Tso, Memory::Pso] {
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
        let broken = bug.model(Variant::Broken).expect("a model");
        let verdict = run(&broken, &options(Memory::Sc)).verdict;
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

/// Whether a machine of this memory model does what it takes to show a bug.
fn shows(needs: Needs, memory: Memory) -> bool {
    match needs {
        Needs::Interleaving => true,
        Needs::StoreBuffer => memory != Memory::Sc,
        Needs::StoreOrder => matches!(memory, Memory::Pso | Memory::Weak),
        Needs::WeakMemory => memory == Memory::Weak,
    }
}

/// Whether the header says of the mended protocol that it is right under a memory model.
fn mended_holds(bug: &Bug, memory: Memory) -> bool {
    match bug.fixed_under {
        Memory::Sc => memory == Memory::Sc,
        Memory::Tso => matches!(memory, Memory::Sc | Memory::Tso),
        Memory::Pso => memory != Memory::Weak,
        Memory::Weak => true,
    }
}

#[test]
fn cases_say_what_their_bugs_say() {
    for bug in all() {
        let cases = bug.cases();
        assert_eq!(cases.len(), bug.stages().len(), "{}", bug.name);
        for name in ["broken", "fixed"] {
            let named = cases.iter().find(|case| case.name == format!("{}/{name}", bug.name));
            let case = named.unwrap_or_else(|| panic!("{} has no {name}", bug.name));
            assert_eq!(case.expected == Expected::Holds, name == "fixed", "{}", case.name);
            for memory in Right::MODELS {
                let holds = case.expected_under(memory) == Expected::Holds;
                let must =
                    if name == "fixed" { mended_holds(bug, memory) } else { !shows(bug.needs, memory) };
                assert_eq!(holds, must, "{} under {memory:?}", case.name);
            }
        }
        for case in cases {
            assert!(case.name.starts_with(bug.name) && case.story == bug.story);
            assert_eq!((case.memory, case.cpus), (bug.memory, bug.cpus()));
        }
    }
}

#[test]
fn a_swapped_case_keeps_its_name_and_expectation_and_comes_out_otherwise() {
    for bug in all() {
        for stage in bug.stages() {
            let (case, swapped) = (bug.case(stage), bug.swapped(stage));
            assert_eq!((&case.name, case.expected), (&swapped.name, swapped.expected));
            let verdict = (swapped.run)(&options(bug.memory)).verdict;
            assert_eq!(verdict == Verdict::Holds, case.expected == Expected::Violates, "{}", case.name);
        }
    }
}
