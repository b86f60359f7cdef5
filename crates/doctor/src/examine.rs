//! Runs the checks.

use crate::checks::{self, Check};
use crate::report::{Drawn, Event, Finding, Outcome, Report, Verdict};
use crate::run::Run;
use crate::sim::LET_IN;
use crate::world::PlatformUnderTest;
use shootdown_explore::{Memory, Options, Report as Explored, Verdict as Found};
use shootdown_machine::{Model, run};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// The source file that has the contract.
pub(crate) const CONTRACT: &str = include_str!("../../shootdown/src/platform.rs");

/// Examines a platform; `seen` is told when a check begins, and when it has ended.
///
/// Each check runs on a machine of its own, through every execution. A check that rests on something that was found
/// wrong is left out, so that one mistake is reported once.
pub fn examine_with<P: PlatformUnderTest>(mut seen: impl FnMut(Event)) -> Report {
    let mut report = Report::default();
    for check in checks::all::<P>() {
        let begins = Outcome { finding: Some(finding(own(&check), Vec::new())), ..blank(&check) };
        seen(Event::Begins(begins));
        let outcome = look(&check, &report);
        seen(Event::Ended(outcome.clone()));
        report.checks.push(outcome);
    }
    report
}

/// Examines a platform and prints each [`Event`] as a line of JSON: the whole of the program that `shootdown doctor`
/// builds around a platform.
pub fn print_events<P: PlatformUnderTest>() {
    // What code under check says when it panics is in the report.
    std::panic::set_hook(Box::new(|_| {}));
    examine_with::<P>(|event| {
        let line = serde_json::to_string(&event).expect("names and numbers");
        // Nobody receives the results any more: there is nothing left to do.
        if writeln!(std::io::stdout(), "{line}").is_err() {
            std::process::exit(1);
        }
    });
}

/// Examines a platform.
pub fn examine<P: PlatformUnderTest>() -> Report {
    examine_with::<P>(|_| {})
}

/// The outcome of a check before anything is known about it.
fn blank<P: PlatformUnderTest>(check: &Check<P>) -> Outcome {
    Outcome {
        check: check.name.to_owned(),
        about: check.about.to_owned(),
        verdict: Verdict::Pass,
        memories: Vec::new(),
        what: None,
        finding: None,
        cpus: 0,
        states: 0,
    }
}

fn look<P: PlatformUnderTest>(check: &Check<P>, before: &Report) -> Outcome {
    let mut outcome = blank(check);
    if let Some(why) = check.unneeded {
        outcome.verdict = Verdict::Unneeded;
        outcome.what = Some(why.to_owned());
        return outcome;
    }
    let broken = |name: &&&str| {
        before.checks.iter().any(|earlier| {
            earlier.check == **name && !matches!(earlier.verdict, Verdict::Pass | Verdict::Unneeded)
        })
    };
    if let Some(needed) = check.needs.iter().find(broken) {
        outcome.verdict = Verdict::Skipped;
        outcome.what = Some(format!("rests on {needed}"));
        return outcome;
    }
    let world = catch_unwind(AssertUnwindSafe(|| {
        let plan = (check.plan)();
        (plan.cpus.len(), Box::new(Run::new(&plan)) as Model)
    }));
    match world {
        Ok((cpus, model)) => {
            outcome.cpus = cpus;
            check.memories.iter().all(|&memory| explored(check, &model, memory, &mut outcome));
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            let text = text.unwrap_or_else(|| "a panic without words".to_owned());
            outcome.verdict = Verdict::Wrong;
            outcome.what = Some(format!("panics while CPUs come on line: {text}"));
            outcome.finding = Some(finding(own(check), Vec::new()));
        }
    }
    outcome
}

/// Explores under one memory model; returns whether nothing is wrong.
fn explored<P: PlatformUnderTest>(
    check: &Check<P>,
    model: &Model,
    memory: Memory,
    outcome: &mut Outcome,
) -> bool {
    let options = Options { memory, deadline: Some(Duration::from_secs(30)), ..Options::default() };
    let report = run(model, &options);
    outcome.states += report.states;
    outcome.memories.push(name(memory).to_owned());
    let what = match &report.verdict {
        Found::Holds => return true,
        Found::Stopped(why) | Found::Unproved(why) => {
            outcome.verdict = Verdict::Undecided;
            outcome.what = Some(why.clone());
            return false;
        }
        finding => finding.words().unwrap_or_default().to_owned(),
    };
    outcome.verdict = Verdict::Wrong;
    let hang = check.hang.filter(|_| matches!(report.verdict, Found::Deadlock(_)));
    // The check of `unload` calls nothing else with interrupts off.
    let blamed = if what.contains(LET_IN) && check.method != "unload" {
        checks::LEAVES_OFF
    } else {
        hang.unwrap_or(own(check))
    };
    outcome.what = Some(what);
    outcome.finding = Some(finding(blamed, steps(&report)));
    false
}

fn steps(report: &Explored) -> Vec<Drawn> {
    report.trace.iter().flat_map(|trace| trace.steps.iter().map(Drawn::from)).collect()
}

/// The method that a check blames, the clause and the remedy.
fn own<P: PlatformUnderTest>(check: &Check<P>) -> [&'static str; 3] {
    [check.method, check.clause, check.remedy]
}

fn finding([method, clause, remedy]: [&str; 3], steps: Vec<Drawn>) -> Finding {
    Finding {
        method: method.to_owned(),
        clause: clause.to_owned(),
        line: line_of(clause).unwrap_or(0),
        remedy: remedy.to_owned(),
        steps,
    }
}

fn name(memory: Memory) -> &'static str {
    match memory {
        Memory::Sc => "sc",
        Memory::Tso => "tso",
        Memory::Pso => "pso",
        Memory::Weak => "weak",
    }
}

/// The line of the contract on which `clause` begins, wherever its lines break.
pub(crate) fn line_of(clause: &str) -> Option<usize> {
    let words: Vec<&str> = clause.split_whitespace().collect();
    let mut contract = Vec::new();
    for (at, line) in CONTRACT.lines().enumerate() {
        let text = line.trim_start().trim_start_matches('/').split_whitespace();
        contract.extend(text.map(|word| (word, at + 1)));
    }
    let starts = contract.windows(words.len()).find(|window| {
        let last = words.len() - 1;
        window.iter().zip(&words).enumerate().all(|(at, ((word, _), wanted))| {
            // A clause may begin and end in the middle of a sentence.
            if at == last {
                word.starts_with(wanted)
            } else {
                word == wanted || (at == 0 && word.ends_with(wanted))
            }
        })
    });
    starts.map(|window| window[0].1)
}

#[cfg(test)]
mod tests {
    const TRAITS: [&str; 2] = [super::CONTRACT, include_str!("../../shootdown/src/coherence.rs")];

    /// Methods of the traits that embedders implement, each with its documentation.
    fn methods() -> Vec<(&'static str, String)> {
        let mut methods = Vec::new();
        for source in TRAITS {
            let (mut inside, mut docs) = (false, String::new());
            for line in source.lines() {
                inside = (inside || line.starts_with("pub unsafe trait")) && line != "}";
                let text = line.trim_start();
                if let Some(doc) = text.strip_prefix("///") {
                    docs += doc;
                } else if let Some(rest) = text.strip_prefix("unsafe fn ").or(text.strip_prefix("fn ")) {
                    let name = rest.split('(').next().unwrap_or(rest);
                    methods.extend((inside && name != "space").then(|| (name, core::mem::take(&mut docs))));
                    docs.clear();
                } else if !text.starts_with("#[") {
                    docs.clear();
                }
            }
        }
        methods
    }

    #[test]
    fn every_method_of_a_platform_says_in_which_context_it_is_called() {
        let methods = methods();
        assert!(methods.len() >= 30, "{methods:?}");
        for (name, docs) in methods {
            let says = [
                "Called in",
                "Called with",
                "Called pinned",
                "Called as",
                "any context",
                "on the same CPU",
                "interrupts are off",
            ]
            .iter()
            .any(|context| docs.contains(context))
                || docs.contains("as [`send_ipi`](Self::send_ipi) does");
            assert!(says || docs.contains("Called where"), "{name}:{docs}");
        }
    }
}
