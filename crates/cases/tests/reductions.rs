//! The reductions lose nothing on the engine's cases: runs with and without them reach the same states.

use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios::cases;
use shootdown_explore::{Memory, Options, Reached, Reductions, Report, Verdict};
use shootdown_machine::Case;
use std::mem::discriminant;

/// States up to which a run counts as small enough to be compared.
const LIMIT: u64 = 6_000_000;
/// States of a reduced run beyond which a run without reductions is made only where a removed rule is noticed.
const QUICK: u64 = 5_000;
const REDUCED: bool = true;
const PLAIN: bool = false;

/// Whether a case is one of those that are compared: two CPUs, but for most of the tag allocators' cases, which without
/// reductions are too large, or fill the store buffers, NMIs or a reset on two CPUs that both flush, and a queue that
/// both empty.
fn compared(case: &Case) -> bool {
    const LARGE: [&str; 6] =
        ["nmi-flush", "nmi-handle-ipi", "nmi-tags", "reset-after-wait", "retired-by-two", "user-mode-nmi"];
    let small = case.groups.contains(&"two") && case.memory == Memory::Tso;
    case.cpus == 2
        && case.memory != Memory::Weak
        && (small || !case.groups.contains(&"tags"))
        && !LARGE.contains(&case.name.as_str())
}

/// A case, with the memory model that it is run under.
fn name(case: &Case, memory: Memory) -> String {
    format!("{} on {memory:?}", case.name)
}

fn options(memory: Memory, reduced: bool, merge: bool) -> Options<'static> {
    Options {
        memory,
        reductions: Reductions { partial_order: reduced, symmetry: reduced, merge },
        collect: true,
        max_states: LIMIT,
        shortest: false,
        ..Options::default()
    }
}

fn run(case: &Case, memory: Memory, reduced: bool, merge: bool) -> Report {
    (case.run)(&options(memory, reduced, merge))
}

/// All that a run reaches; nothing if it is too large.
fn reached(case: &Case, memory: Memory, reduced: bool, merge: bool) -> Option<Reached> {
    let report = run(case, memory, reduced, merge);
    if let Verdict::Stopped(reason) = &report.verdict {
        assert!(reason.contains("states"), "{}: {reason}", name(case, memory));
        return None;
    }
    assert_eq!(report.verdict, Verdict::Holds, "{}", name(case, memory));
    let reached = report.reached.expect("asked for");
    assert!(!reached.finals.is_empty(), "{}: every execution ends somewhere", name(case, memory));
    Some(reached)
}

/// Runs a case in the four ways of switching; returns whether the plainest one was small enough.
fn compare(case: &Case, memory: Memory) -> bool {
    let name = name(case, memory);
    let reduced = reached(case, memory, REDUCED, true).expect("the default check is small");
    let plain =
        reached(case, memory, PLAIN, true).unwrap_or_else(|| panic!("{name}: too large without reductions"));
    assert_eq!(reduced.finals, plain.finals, "{name}: final states that the reductions lose or invent");

    let options = Options { lenient_above: 0, ..options(memory, REDUCED, true) };
    let lenient = (case.run)(&options);
    assert_eq!(lenient.verdict, Verdict::Holds, "{name}");
    let finals = lenient.reached.as_ref().map(|reached| &reached.finals);
    assert_eq!(finals, Some(&plain.finals), "{name}: states that lenient rounds lose or invent");

    // Histories that were merged and do not go on alike show as states that only whole histories lead to.
    let Some(whole) = reached(case, memory, PLAIN, false) else { return false };
    assert_eq!(plain.finals, whole.finals, "{name}: final states that merging loses or invents");
    let reduced = reached(case, memory, REDUCED, false).expect("smaller than the plain one");
    assert_eq!(reduced, whole, "{name}: states that the reductions lose or invent between whole histories");
    true
}

/// Runs all cases on two CPUs that are made for the model `made_for` under `memory`; returns how many.
fn compare_all(made_for: Memory, memory: Memory) -> usize {
    let mut list = cases(Fault::NONE);
    list.retain(|case| compared(case) && case.memory == made_for);
    let large: Vec<_> = list.iter().filter(|case| !compare(case, memory)).map(|case| &case.name).collect();
    println!("{} cases compared on {memory:?}; only with merging: {large:?}", list.len());
    assert!(large.is_empty(), "whole histories too large to compare: {large:?}");
    list.len()
}

#[test]
fn reductions_lose_nothing_under_total_store_order() {
    assert!(compare_all(Memory::Tso, Memory::Tso) >= 113);
}

#[test]
fn reductions_lose_nothing_under_partial_store_order() {
    assert!(compare_all(Memory::Pso, Memory::Pso) >= 5);
}

#[test]
fn reductions_lose_nothing_under_sequential_consistency() {
    assert!(compare_all(Memory::Tso, Memory::Sc) >= 113);
}

#[test]
fn reductions_lose_nothing_under_weak_memory() {
    // Those of the group that are small without reductions.
    const SMALL: [&str; 10] = [
        "batch-of-unmaps/weak",
        "global-tag-final-drop/weak",
        "gone-vs-final-drop/weak",
        "gone-vs-table-free/weak",
        "kernel-table-tags/weak",
        "lazy-return/weak",
        "lazy-vs-unhooked-table/weak",
        "migration-table-free/weak",
        "migration-to-target/weak",
        "switch-in/weak",
    ];
    let mut list = cases(Fault::NONE);
    list.retain(|case| SMALL.contains(&case.name.as_str()));
    assert_eq!(list.len(), SMALL.len());
    for case in &list {
        assert!(compare(case, Memory::Weak), "{}", case.name);
    }
}

#[test]
fn reductions_hide_no_removed_rule() {
    let mut caught = 0;
    let (mut missed, mut large) = (0, 0);
    for rule in 1..=shootdown::trace::rules::LAST {
        let mut list = cases(Fault::rule(rule).expect("there is such a rule"));
        list.retain(|case| compared(case) && !case.groups.contains(&"pairs"));
        for case in &list {
            let name = format!("{} without SD-{rule}", case.name);
            let reduced = run(case, case.memory, REDUCED, true);
            // The same case with every rule is compared above, and a rule that it does not need changes little in it.
            if reduced.verdict == Verdict::Holds && reduced.states > QUICK {
                large += 1;
                continue;
            }
            let plain = run(case, case.memory, PLAIN, true);
            assert_eq!(discriminant(&reduced.verdict), discriminant(&plain.verdict), "{name}");
            assert!(plain.complete(), "{name}: {:?}", plain.verdict);
            if plain.verdict == Verdict::Holds {
                let finals = |report: &Report| report.reached.as_ref().map(|reached| reached.finals.clone());
                assert_eq!(finals(&reduced), finals(&plain), "{name}");
                missed += 1;
            } else {
                caught += 1;
            }
        }
    }
    println!("{caught} pairs of runs break a rule, {missed} do not; {large} are too large");
    assert!(caught >= 50 && missed >= 50, "{caught} break a rule, {missed} do not");
}
