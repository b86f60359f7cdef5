use crate::bugs::{
    linux_2ff6ddf1, linux_38cf307c, linux_71b3c126, linux_82dd33fd, linux_a665eec0, linux_b67fbebd,
    linux_bafb056c, linux_cb185d5f, linux_eb66ae03,
};
use crate::{Needs, cases, headers};
use shootdown_explore::{Memory, Options, Reductions, Scenario, Verdict, explore};
use shootdown_machine::{Case, Expected, Variant};
use std::collections::BTreeSet;

/// What each broken case ends in.
const VIOLATIONS: [(&str, &str); 9] = [
    (
        "linux-bafb056c-sparc64-trim",
        "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    ),
    (
        "linux-a665eec0-powerpc-trim",
        "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    ),
    (
        "linux-38cf307c-kthread-use-mm",
        "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    ),
    (
        "linux-82dd33fd-riscv-asid-mask",
        "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    ),
    (
        "linux-2ff6ddf1-x86-lazy-tables",
        "CPU 1 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    ),
    (
        "linux-71b3c126-x86-switch-barrier",
        "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    ),
    (
        "linux-eb66ae03-mremap-flush",
        "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    ),
    (
        "linux-b67fbebd-pfnmap-unlink",
        "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    ),
    ("linux-cb185d5f-userfaultfd-exit", "use of areas.first after its memory was given back"),
];

fn options(memory: Memory) -> Options<'static> {
    Options { memory, ..Options::default() }
}

fn of(variant: Variant) -> impl Iterator<Item = Case> {
    cases().into_iter().filter(move |case| case.variant == variant)
}

#[test]
fn broken_protocols_break_as_they_did() {
    for (case, (name, message)) in of(Variant::Broken).zip(VIOLATIONS) {
        assert_eq!(case.name, format!("{name}/broken"));
        let report = (case.run)(&options(case.memory));
        assert_eq!(report.verdict, Verdict::Violates(message.into()), "{name}");
        let trace = report.trace.expect("a violation has a trace");
        assert!(trace.steps.len() <= 30, "{name}: {} moves", trace.steps.len());
        let moves: Vec<_> = trace.steps.iter().map(|step| step.mov).collect();
        let again = (case.replay)(&options(case.memory), &moves).expect("the trace can be replayed");
        assert_eq!(again.outcome, trace.outcome, "{name}");
    }
}

#[test]
fn fixed_protocols_hold_under_every_memory_model() {
    for case in of(Variant::Fixed) {
        for memory in [Memory::Sc, Memory::Tso, Memory::Pso] {
            let report = (case.run)(&options(memory));
            assert_eq!(report.verdict, Verdict::Holds, "{} under {memory:?}", case.name);
        }
    }
}

/// Checks what the machine says of its operations: if one ran early that must not, states would be missing here.
#[test]
fn reductions_lose_no_local_and_no_final_state() {
    let fixed = Variant::Fixed;
    compare(&linux_bafb056c::model(fixed));
    compare(&linux_a665eec0::model(fixed));
    compare(&linux_38cf307c::UseMm::new(fixed));
    compare(&linux_82dd33fd::Switching::new(fixed));
    compare(&linux_2ff6ddf1::LazyTables::new(fixed));
    compare(&linux_71b3c126::Reclaim::new(fixed));
    compare(&linux_eb66ae03::Mremap::new(fixed));
    compare(&linux_b67fbebd::Unlink::new(fixed));
    compare(&linux_cb185d5f::WriteProtect::new(fixed));
}

/// One scenario for both runs, as what was reached is told apart by the addresses of words.
#[track_caller]
fn compare<S: Scenario>(scenario: &S) {
    for memory in [Memory::Sc, Memory::Tso, Memory::Pso] {
        let [reduced, full] = [true, false].map(|partial_order| {
            let reductions = Reductions { partial_order, symmetry: false, forget: false };
            explore(scenario, &Options { reductions, collect: true, ..options(memory) }).reached
        });
        assert!(full.as_ref().is_some_and(|reached| !reached.finals.is_empty()), "something is reached");
        assert_eq!(reduced, full, "under {memory:?}");
    }
}

#[test]
fn only_bugs_that_need_a_store_buffer_are_hidden_by_sequential_consistency() {
    for (case, header) in of(Variant::Broken).zip(headers()) {
        let verdict = (case.run)(&options(Memory::Sc)).verdict;
        let shown = matches!(verdict, Verdict::Violates(_));
        assert_eq!(shown, header.needs == Needs::Interleaving, "{}: {verdict:?}", case.name);
    }
}

#[test]
fn headers_are_distinct_and_cite_rules_that_exist() {
    let ids: BTreeSet<_> = headers().iter().map(|header| header.id).collect();
    let names: BTreeSet<_> = cases().into_iter().map(|case| case.name).collect();
    assert_eq!((ids.len(), names.len()), (headers().len(), cases().len()));
    for header in headers() {
        assert!(
            !header.rules.is_empty() && header.rules.iter().all(|n| (1..=14).contains(n)),
            "{}",
            header.name
        );
        let words = header.story.split_whitespace().count();
        assert!((150..=310).contains(&words), "{}: a story of {words} words", header.name);
        assert!(header.about.len() <= 200, "{}", header.name);
    }
}

#[test]
fn cases_say_what_their_headers_say() {
    for pair in cases().chunks(2).zip(headers()) {
        let ([broken, fixed], header) = (pair.0, pair.1) else { panic!("cases come in pairs") };
        assert_eq!((broken.expected, fixed.expected), (Expected::Violates, Expected::Holds));
        for case in [broken, fixed] {
            assert!(case.name.starts_with(header.name) && case.story == header.story);
            assert_eq!((case.memory, case.cpus), (header.memory, header.cpus));
        }
    }
}
