//! The sanitizer on the explorer: told what the simulated machine's platform does, it is silent about the engine as it
//! ships and names what a removed rule does. Its own cells are explored with the engine's.

use shootdown_cases::engine::{Fault, Oracles};
use shootdown_cases::scenarios::cases_under;
use shootdown_explore::{Memory, Options, Verdict};
use shootdown_machine::Case;

/// What a removed rule is reported by: the case, and words of the report. Where two CPUs do the same, either may be met
/// first, and `CPU N` stands for it.
///
/// Missing are SD-11, SD-18 and SD-19, without which CPUs wait for each other for ever and nothing is given back, and
/// SD-15 and SD-16, without which a call returns too early, or an answer is taken back, and nothing is given back
/// either; SD-20 and SD-21, as it knows neither user mode nor code.
const REPORTS: &[(u8, &str, &str)] = &[
    (
        1,
        "seed",
        "given back while CPU 1 may still use them: CPU 0 unmapped them (removal 1); missing on CPU 1",
    ),
    (2, "seed", "CPU 1 comes back to space 1 and may still use pages 0x0 to 0xfff, which CPU 0 unmapped"),
    (3, "switch-in", "given back while CPU 1 may still use them"),
    (4, "seed", "given back while CPU 0 may still use them"),
    (5, "lazy-return", "given back while CPU 1 may still use them"),
    (6, "lazy-return", "given back while CPU 1 may still use them"),
    (7, "lazy-vs-table-free", "a flush of these pages with the walk caches"),
    (8, "lazy-return", "given back while CPU 0 may still use them"),
    (9, "masked-flushers", "given back while CPU 0 may still use them"),
    (10, "lazy-vs-final-drop", "CPU 0 frees the root of space 1 while"),
    (
        12,
        "tag-reuse",
        "while it may still use entries of space 1 under that tag; missing on CPU N: a flush of the tag",
    ),
    // Before the CPU is back or after: both are reported, and either may be met first.
    (13, "kernel-memory-hotplug", "kernel memory"),
    (14, "history-overflow", "CPU 1 comes back to space 1 (tag 1) and may still use pages 0x0 to 0xfff"),
    (17, "batch-of-spaces", "given back while CPU 1 may still use them"),
];

/// What came out of a case.
enum Outcome {
    Complete,
    Cut(String),
    Report(String),
}

fn run(case: &Case, memory: Memory, max_states: u64) -> Outcome {
    let options = Options { memory, max_states, shortest: false, ..Options::default() };
    match (case.run)(&options).verdict {
        Verdict::Holds => Outcome::Complete,
        Verdict::Stopped(why) | Verdict::Unproved(why) => Outcome::Cut(why),
        finding => Outcome::Report(finding.words().unwrap_or_default().to_owned()),
    }
}

fn without(rule: u8, oracles: Oracles) -> Vec<Case> {
    cases_under(Fault::rule(rule).expect("a rule"), oracles)
}

/// States after which a case is cut; SHOOTDOWN_SANITIZER_STATES says another number.
fn limit() -> u64 {
    std::env::var("SHOOTDOWN_SANITIZER_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(30_000)
}

#[test]
fn nothing_is_reported_of_the_engine_as_it_ships() {
    let (mut ordered, mut interleaved, mut cut) = (0, 0, Vec::new());
    let cases = cases_under(Fault::NONE, Oracles::Both);
    for case in cases.iter().filter(|case| !case.deep) {
        let outcome = match run(case, case.memory, limit()) {
            // The sanitizer's stores make a store buffer longer than the explorer's.
            Outcome::Cut(why) if why.contains("store buffer") => {
                interleaved += 1;
                run(case, Memory::Sc, limit())
            }
            other => {
                ordered += 1;
                other
            }
        };
        match outcome {
            Outcome::Complete => {}
            Outcome::Cut(_) => cut.push(case.name.as_str()),
            Outcome::Report(what) => panic!("{}: {what}", case.name),
        }
    }
    println!("{ordered} cases with store buffers, {interleaved} without; cut: {cut:?}");
    assert!(2 * cut.len() < ordered + interleaved, "most cases are explored to the end: {cut:?}");
}

#[test]
fn each_removed_rule_is_reported_with_what_was_missing() {
    for &(rule, name, words) in REPORTS {
        let cases = without(rule, Oracles::Watch);
        let case = cases.iter().find(|case| case.name == name).expect("a case");
        match run(case, Memory::Sc, 200_000) {
            Outcome::Report(what) => {
                let told =
                    (0..case.cpus).any(|cpu| what.contains(&words.replace("CPU N", &format!("CPU {cpu}"))));
                assert!(told, "SD-{rule} by {name}: {what}");
            }
            Outcome::Complete => panic!("SD-{rule}: {name} notices nothing"),
            Outcome::Cut(why) => panic!("SD-{rule}: {name}: {why}"),
        }
    }
}

/// Only pairs: they are explored to the end.
#[test]
fn what_the_machines_oracle_reports_of_a_pair_is_reported_here_too() {
    let (mut both, mut early, mut returned) = (0, 0, 0);
    for rule in 1..=Fault::LAST_RULE {
        let (theirs, ours) = (without(rule, Oracles::Machine), without(rule, Oracles::Watch));
        for their in theirs.iter().filter(|case| case.groups.contains(&"pairs")) {
            // By name, since the sanitizer's list is shorter: some scenarios are left to the machine.
            let our = ours.iter().find(|our| our.name == their.name).expect("the same pairs");
            let Outcome::Report(what) = run(their, Memory::Sc, 30_000) else { continue };
            if what.contains("is not in its mask") {
                // The machine looks at masks; here a CPU that is missing counts when something is given back.
                early += 1;
                continue;
            }
            match run(our, Memory::Sc, 30_000) {
                // Without SD-15 a call returns too early, and gives nothing back: the sanitizer sees no return.
                Outcome::Complete if rule == 15 && what.contains("which was unmapped") => returned += 1,
                Outcome::Complete => panic!("SD-{rule}, {}: only the machine sees that {what}", our.name),
                Outcome::Report(_) => both += 1,
                Outcome::Cut(_) => {}
            }
        }
    }
    println!(
        "{both} findings of the machine's oracle are found here too; {early} were of masks, {returned} of returns alone"
    );
    assert!(both > 150, "{both}");
}
