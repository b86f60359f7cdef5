//! Mended protocols with one step less. One that holds all the same has a step that it does not need, or a model that does
//! not show what the step is for.

use super::Bug;
use shootdown_explore::{Did, Drops, Memory, Mutation, Options, Scenario, Site, Verdict};
use shootdown_machine::{Machine, Model, Variant, run};
use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// A mended protocol with one step less, or one ordering.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What it lacks, and the file where: `unmap.rs: flush page 0`.
    pub name: String,
    /// Where, with the line.
    pub place: String,
    /// Whether it lacks an ordering rather than a step. One that holds says little: the explorer's memory models miss few
    /// orderings of exchanges, and none of loads.
    pub ordering: bool,
    /// How it goes wrong; `None` if it holds all the same.
    pub noticed: Option<String>,
    /// Why the protocol has the step though it holds without, as [`Bug::argued`] says.
    pub argued: Option<&'static str>,
}

/// What is argued of steps that many bugs share.
const OF_KIT: [(&str, &str); 1] = [(
    "lock.rs: wait",
    "the lock is tried again all the same; who can never get it is stuck instead of busy for ever",
)];

/// Takes each step of the fix out of the mended protocol of `bug`, and runs what is left under the weakest memory model for
/// which the protocol is made. The steps of a fix are those that the broken protocol never makes: what both have in common is
/// the kernel around it. Empty if the mended protocol does not hold itself.
pub fn mutants(bug: &Bug) -> Vec<Mutant> {
    let (Ok(model), Ok(broken)) = (bug.model(Variant::Fixed), bug.model(Variant::Broken)) else {
        return Vec::new();
    };
    let holds = |memory| {
        let report = run(&model, &Options { memory, survey: true, ..options() });
        (report.verdict == Verdict::Holds).then_some((memory, report.survey.sites))
    };
    let weakest = if bug.memory == Memory::Weak { Memory::Weak } else { Memory::Pso };
    let Some((memory, sites)) = holds(weakest).or_else(|| holds(bug.memory)) else { return Vec::new() };
    // A run that collects goes on after a finding.
    let all = Options { memory, survey: true, collect: true, ..options() };
    let before = run(&broken, &all).survey.sites;
    let mut mutations: Vec<(Mutation, String)> = Vec::new();
    for site in sites.iter().filter(|site| !before.contains(site)) {
        let Some((drops, what)) = droppable(&model, site) else { continue };
        let mutation = Mutation { place: site.place, drops };
        if !mutations.iter().any(|(known, _)| *known == mutation) {
            mutations.push((mutation, what));
        }
    }
    let mutant = |(mutation, what): (Mutation, String)| {
        let report = run(&model, &Options { memory, mutation: Some(mutation), ..options() });
        let name = format!("{}: {what}", file(mutation.place));
        let ordering = mutation.drops == Drops::Order;
        let argued =
            bug.argued.iter().chain(&OF_KIT).find(|(known, _)| *known == name).map(|&(_, argument)| argument);
        let place = format!("{}:{}", file(mutation.place), mutation.place.line());
        let noticed =
            (report.verdict != Verdict::Holds).then(|| report.verdict.words().unwrap_or_default().to_owned());
        Mutant { name, place, ordering, noticed, argued }
    };
    mutations.into_iter().map(mutant).collect()
}

/// Returns the lines of the bug's own file that could make a step and that neither protocol reaches: `FILE:LINE`.
pub fn unreached(bug: &Bug) -> Vec<String> {
    /// What a line that makes a step has.
    const STEPS: [&str; 9] =
        ["hw::", ".load(", ".store(", ".swap(", ".fetch_", "compare_exchange(", "fence(", "raise(", "irq_"];
    let Some((name, text)) = bug.code.first() else { return Vec::new() };
    let mut reached = BTreeSet::new();
    for variant in [Variant::Broken, Variant::Fixed] {
        let Ok(model) = bug.model(variant) else { return Vec::new() };
        let all = Options { memory: bug.memory, survey: true, collect: true, ..options() };
        let sites = run(&model, &all).survey.sites;
        reached.extend(sites.iter().filter(|site| file(site.place) == *name).map(|site| site.place.line()));
    }
    let steps = |line: &str| {
        let line = line.trim_start();
        !line.starts_with("use ") && !line.starts_with("//") && STEPS.iter().any(|step| line.contains(step))
    };
    let lines = (1..).zip(text.lines()).filter(|&(number, line)| steps(line) && !reached.contains(&number));
    lines.map(|(number, _)| format!("{name}:{number}")).collect()
}

fn options() -> Options<'static> {
    Options { workers: 1, shortest: false, ..Options::default() }
}

/// What can be left out at `site`, and what that is called. An acquire is kept: no memory model of the explorer has loads that
/// pass each other, so that none would miss it.
fn droppable(model: &Model, site: &Site) -> Option<(Drops, String)> {
    Some(match site.did {
        Did::Fence(order) => (Drops::Step, format!("fence({order:?})")),
        Did::Wait => (Drops::Step, "wait".to_owned()),
        Did::Raise { line, .. } => (Drops::Step, format!("interrupt {line}")),
        Did::Device(op) if Machine::is_flush(op) || Machine::is_barrier(op) => {
            (Drops::Step, shootdown_explore::Device::show(model.device(), op, 0))
        }
        Did::Store(order) if order != Relaxed => (Drops::Order, format!("{order:?} of a store")),
        Did::Modify(order) if !matches!(order, Relaxed | Acquire) => {
            (Drops::Order, format!("{order:?} of an exchange"))
        }
        _ => return None,
    })
}

/// The file of a place, without its folders.
fn file(place: &Location<'static>) -> &'static str {
    place.file().rsplit(['/', '\\']).next().unwrap_or(place.file())
}
