//! Mended protocols with one step less. One that holds all the same has a step that it does not need, or a model that does
//! not show what the step is for.

use super::{Bug, KIT};
use shootdown_explore::{Did, Drops, Memory, Mutation, Options, Scenario, Site, Verdict};
use shootdown_machine::{Machine, Model, Variant, run};
use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::atomic::Ordering::Relaxed;

/// A mended protocol with one step less, or one ordering.
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
    /// Why the protocol has the step though it holds without, as [`Bug::argued`] says.
    pub argued: Option<&'static str>,
}

/// What is argued of steps that many bugs share.
const OF_KIT: [(&str, &str); 2] = [
    (
        "lock.rs: wait",
        "the lock is tried again all the same; who can never get it is stuck instead of busy for ever",
    ),
    (
        "mailbox.rs: wait",
        "the answer is looked for again all the same; who never gets it is stuck instead of busy for ever",
    ),
];

/// Takes each step and each ordering of the fix out of the mended protocol of `bug`, and runs what is left under the weakest memory
/// model under which the protocol is right, and where stores pass each other. What belongs to a fix are the steps that the broken
/// protocol never makes: what both have in common is the kernel around it. Empty if the mended protocol does not hold itself.
pub fn mutants(bug: &Bug) -> Vec<Mutant> {
    let (Ok(model), Ok(broken)) = (bug.model(Variant::Fixed), bug.model(Variant::Broken)) else {
        return Vec::new();
    };
    let weakest = bug.fixed_under;
    let report = run(&model, &Options { memory: weakest, survey: true, ..options() });
    if report.verdict != Verdict::Holds {
        return Vec::new();
    }
    let sites = report.survey.sites;
    // A run that collects goes on after a finding; not under weak memory.
    let all = Options { memory: Memory::Pso, survey: true, collect: true, ..options() };
    let before = run(&broken, &all).survey.sites;
    // Where stores wait, an interrupt overtakes them; under weak memory, only if the case says so.
    let mut memories = vec![weakest];
    memories.extend([Memory::Pso].into_iter().filter(|_| weakest == Memory::Weak));
    let mut mutations: Vec<(Mutation, String)> = Vec::new();
    for site in sites.iter().filter(|site| !before.contains(site)) {
        let Some((drops, what)) = droppable(&model, site, weakest) else { continue };
        // The orderings of which calls and locks are made are theirs, and not the fix's.
        let of_kit = || KIT.iter().any(|(known, _)| *known == file(site.place));
        if drops == Drops::Order && of_kit() {
            continue;
        }
        let mutation = Mutation { place: site.place, drops };
        if !mutations.iter().any(|(known, _)| *known == mutation) {
            mutations.push((mutation, what));
        }
    }
    let mutant = |(mutation, what): (Mutation, String)| {
        let words = memories.iter().find_map(|&memory| {
            let verdict = run(&model, &Options { memory, mutation: Some(mutation), ..options() }).verdict;
            (verdict != Verdict::Holds).then(|| verdict.words().unwrap_or_default().to_owned())
        });
        let name = format!("{}: {what}", file(mutation.place));
        let ordering = mutation.drops == Drops::Order;
        let argued =
            bug.argued.iter().chain(&OF_KIT).find(|(known, _)| *known == name).map(|&(_, argument)| argument);
        let place = format!("{}:{}", file(mutation.place), mutation.place.line());
        Mutant { name, place, ordering, noticed: words, argued }
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

/// What can be left out at `site`, and what that is called. Of orderings, what `memory` can tell: under weak memory all, else those
/// of stores.
fn droppable(model: &Model, site: &Site, memory: Memory) -> Option<(Drops, String)> {
    let weak = memory == Memory::Weak;
    Some(match site.did {
        Did::Fence(order) => (Drops::Step, format!("fence({order:?})")),
        Did::Wait => (Drops::Step, "wait".to_owned()),
        Did::Raise { line, .. } => (Drops::Step, format!("interrupt {line}")),
        Did::Device(op) if Machine::is_flush(op) => {
            (Drops::Step, shootdown_explore::Device::show(model.device(), op, 0))
        }
        Did::Store(order) if order != Relaxed => (Drops::Order, format!("{order:?} of a store")),
        Did::Load(order) if weak && order != Relaxed => (Drops::Order, format!("{order:?} of a load")),
        Did::Modify(order) if weak && order != Relaxed => (Drops::Order, format!("{order:?} of an exchange")),
        _ => return None,
    })
}

/// The file of a place, without its folders.
fn file(place: &Location<'static>) -> &'static str {
    place.file().rsplit(['/', '\\']).next().unwrap_or(place.file())
}
