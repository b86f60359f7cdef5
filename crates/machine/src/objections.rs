//! What speaks against the result of a model though its verdict is the expected one, and what a fix could do without.

use crate::case::{Model, run};
use crate::machine::Machine;
use crate::sources::{file_name, is_shared};
use shootdown_explore::{
    Device, Did, Drops, Memory, Mutation, Options, Report, Scenario, Site, Survey, Verdict,
};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;

/// Returns whether `words`, of a verdict, say what `stated` does, whatever the places in the code (` at
/// FILE:LINE:COLUMN`).
pub fn ends_as(words: &str, stated: &str) -> bool {
    without_places(words) == without_places(stated)
}

/// Returns what the words that a drawing cannot call by a name of their own lack.
pub fn names(survey: &Survey) -> Vec<String> {
    let stray = |word: &&str| {
        format!(
            "the word {word:?} is in no object that `register` names: give that to `Registry::object`, or call the word `object.{word}`"
        )
    };
    let alike = |word: &&str| {
        format!("several words of one object are called {word:?}: `Registry::array` names those of an array")
    };
    survey.unnamed.iter().map(stray).chain(survey.alike.iter().map(alike)).collect()
}

/// Returns the files in which steps are and that `code`, a model's source, does not show: a drawing has no line for
/// these.
pub fn unshown(survey: &Survey, code: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeSet<&str> = survey.sites.iter().map(|site| file_name(site.place)).collect();
    let shown = |file: &&str| is_shared(file) || code.iter().any(|(name, _)| name == file);
    let missing = files.into_iter().filter(|file| !shown(file));
    missing
        .map(|file| {
            format!("steps are in {file}, which `code` does not show: add (\"{file}\", include_str!(..))")
        })
        .collect()
}

/// Returns what `broken` gives away under `memory` and `fixed`, of which `report` is, never does. A fix that does
/// nothing breaks no rule, and is known by this.
pub fn never_given_away(broken: &Model, fixed: &Model, report: &Report, memory: Memory) -> Vec<String> {
    let options = Options { memory, survey: true, shortest: false, ..Options::default() };
    let before = broken.device().given_away(&run(broken, &options).survey);
    let after: BTreeSet<String> = fixed.device().given_away(&report.survey);
    before.difference(&after).cloned().collect()
}

/// Returns what is wrong with the machines of two protocols of one model.
pub fn machines(broken: &Model, fixed: &Model) -> Option<String> {
    let mut cpus = Vec::new();
    for model in [broken, fixed] {
        let (scenario, machine) = (model.cpus(), model.device().cpus());
        if scenario != machine {
            return Some(format!("{scenario} CPUs are to run on a machine of {machine}"));
        }
        cpus.push(machine);
    }
    if cpus[0] != cpus[1] {
        return Some(format!("the broken protocol has {} CPUs, the mended one {}", cpus[0], cpus[1]));
    }
    if !(broken.device().is_judged() && fixed.device().is_judged()) {
        return Some("the machine is built `without_oracle`, so that nothing can go wrong on it".to_owned());
    }
    if let Some(fact) = broken.device().differs(fixed.device()) {
        return Some(format!(
            "the mended protocol runs on other hardware than the broken one (`{fact}` differs): a fix is code, not a machine"
        ));
    }
    let cpu = broken.device().starts_otherwise(fixed.device())?;
    Some(format!(
        "CPU {cpu} of the mended protocol starts otherwise than that of the broken one: a fix is code, not a machine"
    ))
}

/// A mended protocol with one step less, or one ordering. One that holds all the same has a step that it does not need,
/// or a model that does not show what the step is for.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What it lacks, and the file where: `unmap.rs: flush page 0`.
    pub name: String,
    /// Where, with the line.
    pub place: String,
    /// Whether it lacks an ordering rather than a step.
    pub ordering: bool,
    /// How it goes wrong; `None` if it holds all the same.
    pub noticed: Option<String>,
    /// Why the protocol has the step though it holds without it, if the author says so.
    pub argued: Option<&'static str>,
}

/// Why steps of the kit are there though models hold without them.
const OF_KIT: [(&str, &str); 2] = [
    (
        "model/kit/lock.rs: wait",
        "the lock is tried again all the same; with the wait a CPU that can never get it is stuck, not busy for ever",
    ),
    (
        "model/kit/mailbox.rs: wait",
        "the answer is looked for again all the same; with the wait a CPU that never gets it is stuck, not busy for ever",
    ),
];

/// Takes each step and each ordering of the fix out of `fixed`, and runs what is left under `weakest`, the weakest
/// memory model under which the protocol is right, and where stores pass each other. What belongs to a fix are the
/// steps that `broken` never makes: what both have in common is the kernel around it. `argued` says of mutants, by
/// name, why they hold. Empty if `fixed` does not hold itself.
pub fn mutants(
    broken: &Model,
    fixed: &Model,
    weakest: Memory,
    argued: &[(&'static str, &'static str)],
) -> Vec<Mutant> {
    let report = run(fixed, &Options { memory: weakest, survey: true, ..options() });
    if report.verdict != Verdict::Holds {
        return Vec::new();
    }
    // A run that collects goes on after a finding; not under weak memory.
    let before = all_sites(broken, Memory::Pso);
    // Where stores wait, an interrupt overtakes them; under weak memory, only if the case says so.
    let mut memories = vec![weakest];
    memories.extend([Memory::Pso].into_iter().filter(|_| weakest == Memory::Weak));
    let mutant = |(mutation, what): (Mutation, String)| {
        let words = memories.iter().find_map(|&memory| {
            let verdict = run(fixed, &Options { memory, mutation: Some(mutation), ..options() }).verdict;
            (verdict != Verdict::Holds).then(|| verdict.words().unwrap_or_default().to_owned())
        });
        let name = format!("{}: {what}", file_name(mutation.place));
        let known = argued.iter().chain(&OF_KIT).find(|(known, _)| *known == name);
        Mutant {
            place: format!("{}:{}", file_name(mutation.place), mutation.place.line()),
            ordering: mutation.drops == Drops::Order,
            noticed: words,
            argued: known.map(|&(_, argument)| argument),
            name,
        }
    };
    let steps = report.survey.sites.into_iter().filter(|site| !before.contains(site));
    mutations(fixed, steps, weakest).into_iter().map(mutant).collect()
}

/// What can be left out at `sites`, each once, and what that is called.
fn mutations(fixed: &Model, sites: impl Iterator<Item = Site>, weakest: Memory) -> Vec<(Mutation, String)> {
    let mut mutations: Vec<(Mutation, String)> = Vec::new();
    for site in sites {
        let Some((drops, what)) = droppable(fixed, &site, weakest) else { continue };
        // The orderings of calls, locks, queues and hardware's own writes are theirs, and not the fix's.
        if drops == Drops::Order && is_shared(file_name(site.place)) {
            continue;
        }
        let mutation = Mutation { place: site.place, drops };
        if !mutations.iter().any(|(known, _)| *known == mutation) {
            mutations.push((mutation, what));
        }
    }
    mutations
}

/// Returns the lines of a model's file that could make a step and that none of its protocols reaches: `FILE:LINE`.
/// `seen` is of one that holds; `others` run as long as there are lines that nobody has reached.
pub fn unreached(
    seen: &Survey,
    others: impl Iterator<Item = Model>,
    memory: Memory,
    (name, text): (&str, &str),
) -> Vec<String> {
    let mut left: BTreeSet<u32> =
        (1..).zip(text.lines()).filter(|(_, line)| may_step(line)).map(|(at, _)| at).collect();
    let reach = |left: &mut BTreeSet<u32>, sites: &[Site]| {
        for site in sites.iter().filter(|site| file_name(site.place) == name) {
            left.remove(&site.place.line());
        }
    };
    reach(&mut left, &seen.sites);
    for model in others {
        if left.is_empty() {
            break;
        }
        reach(&mut left, &all_sites(&model, memory));
    }
    left.iter().map(|line| format!("{name}:{line}")).collect()
}

/// Whether a line of code could make a step: no text, and nothing that a function stores in its own `machine` before
/// anything runs.
fn may_step(line: &str) -> bool {
    const STEPS: [&str; 9] =
        ["hw::", ".load(", ".store(", ".swap(", ".fetch_", "compare_exchange(", "fence(", "raise(", "irq_"];
    let line = line.trim_start();
    let other = ["use ", "//", "\"", "machine."].iter().any(|start| line.starts_with(start));
    !other && STEPS.iter().any(|step| line.contains(step))
}

/// The steps of all executions. A run that collects goes on after a finding.
fn all_sites(model: &Model, memory: Memory) -> Vec<Site> {
    run(model, &Options { memory, survey: true, collect: true, ..options() }).survey.sites
}

fn options() -> Options<'static> {
    Options { workers: 1, shortest: false, ..Options::default() }
}

/// What can be left out at `site`, and what that is called. Of orderings, what `memory` can tell: under weak memory
/// all, else those of stores.
fn droppable(model: &Model, site: &Site, memory: Memory) -> Option<(Drops, String)> {
    let weak = memory == Memory::Weak;
    Some(match site.did {
        Did::Fence(order) => (Drops::Step, format!("fence({order:?})")),
        Did::Wait => (Drops::Step, "wait".to_owned()),
        Did::Raise { line, .. } => (Drops::Step, format!("interrupt {line}")),
        Did::Device(op) if Machine::is_flush(op) || Machine::is_barrier(op) => {
            (Drops::Step, model.device().show(op, 0))
        }
        Did::Store(order) if order != Relaxed => (Drops::Order, format!("{order:?} of a store")),
        Did::Load(order) if weak && order != Relaxed => (Drops::Order, format!("{order:?} of a load")),
        Did::Modify(order) if weak && order != Relaxed => (Drops::Order, format!("{order:?} of an exchange")),
        _ => return None,
    })
}

/// Drops ` at FILE:LINE:COLUMN` wherever it is the end of a clause: lines move with every edit.
fn without_places(words: &str) -> String {
    let clauses = words.split("; ").map(|clause| match clause.rsplit_once(" at ") {
        Some((before, place)) if is_place(place) => before,
        _ => clause,
    });
    clauses.collect::<Vec<_>>().join("; ")
}

fn is_place(text: &str) -> bool {
    let mut parts = text.rsplitn(3, ':');
    let mut number = || parts.next().is_some_and(|part| part.parse::<u32>().is_ok());
    let (column, line) = (number(), number());
    column && line && parts.next().is_some_and(|file| file.ends_with(".rs") && !file.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::without_places;

    #[test]
    fn places_are_dropped_and_other_words_kept() {
        let stuck = "stuck: CPU 0 waits for io at src/a.rs:177:30; CPU 2 is at src/b.rs:2:9";
        assert_eq!(without_places(stuck), "stuck: CPU 0 waits for io; CPU 2 is");
        for words in ["it looks at page 0", "it looks at a.rs", "frame 1, at last: 1:2", "at"] {
            assert_eq!(without_places(words), words);
        }
    }
}
