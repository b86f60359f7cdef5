//! The whole of an exploration: learning, rounds, verdict, trace.

use crate::machine::layout::{CPUS, NESTING};
use crate::machine::moves::Move;
use crate::machine::run::Executor;
use crate::machine::scenario::Scenario;
use crate::machine::step::{Trouble, lock};
use crate::machine::world::World;
use crate::options::{Memory, Options, Reductions, Sampling};
use crate::report::trace;
use crate::report::{Finding, Report, Trace, Verdict};
use crate::search::hub::{End, Found, Kind, Plan};
use crate::search::learn;
use crate::search::livelock;
use crate::search::random;
use crate::search::round::{Outcome, round};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The most turns that can be counted.
const MOST_CONTEXTS: u16 = 4095;
/// States of the first round, which mostly learns.
const FIRST: u64 = 20_000;
/// Steps of code that are run again at the end, to check that the code does the same.
const REPEATED: u64 = 20_000;
/// States of the search for a shorter trace, and how long it may take.
const SHORTER: u64 = 1_500_000;
const SHORTER_TIME: Duration = Duration::from_secs(2);

/// Visits every execution of `scenario`.
pub fn explore<S: Scenario>(scenario: &S, options: &Options<'_>) -> Report {
    let started = Instant::now();
    let mut report = Report::without_states(Verdict::Holds);
    match check(scenario, options).and_then(|()| World::new(scenario, options)) {
        Ok(world) => match options.random {
            None => run(&Mutex::new(world), options, started, &mut report),
            Some(sampling) => sample(&Mutex::new(world), options, sampling, started, &mut report),
        },
        Err(reason) => report.verdict = Verdict::Stopped(reason),
    }
    report.elapsed = started.elapsed();
    report
}

/// Runs exactly `moves`; says at which move it became impossible, if so.
///
/// # Errors
/// The index of the first move that the machine cannot make, and why.
pub fn replay<S: Scenario>(
    scenario: &S,
    options: &Options<'_>,
    moves: &[Move],
) -> Result<Trace, (usize, String)> {
    let world =
        check(scenario, options).and_then(|()| World::new(scenario, options)).map_err(|text| (0, text))?;
    trace::perform(&Mutex::new(world), options, moves)
}

fn check<S: Scenario>(scenario: &S, options: &Options<'_>) -> Result<(), String> {
    let cpus = scenario.cpus();
    if cpus == 0 || cpus > CPUS {
        return Err(format!("{cpus} CPUs: the explorer takes 1 to {CPUS}"));
    }
    if usize::from(options.nesting) > NESTING {
        return Err(format!(
            "nesting {}: the explorer takes at most {NESTING} interrupt frames",
            options.nesting
        ));
    }
    if options.workers == 0 {
        return Err("no worker".to_owned());
    }
    if options.contexts.is_some_and(|contexts| contexts == 0 || contexts > MOST_CONTEXTS) {
        return Err(format!("contexts: the explorer takes 1 to {MOST_CONTEXTS}"));
    }
    if options.contexts.is_some() && options.random.is_some() {
        return Err("either executions of few contexts are visited, or random ones".to_owned());
    }
    Ok(())
}

fn run<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    started: Instant,
    report: &mut Report,
) {
    let mut plan = plan(options, started);
    report.executions += learn::walk(world, options, (Vec::new(), 0), learn::STEPS);
    let mut large = options.lenient_above == 0;
    loop {
        plan.round += 1;
        learn::close_footprints(&mut lock(world));
        lock(world).note_circles();
        lock(world).lenient = large;
        // Where turns are counted, a state may lead on in ways that are not visited.
        plan.livelock = lock(world).loops && options.contexts.is_none();
        let begun = Instant::now();
        // The first round mostly learns.
        let mut outcome = if plan.round == 1 {
            round(world, options, Plan { workers: 1, cap: FIRST, ..plan })
        } else {
            round(world, options, plan)
        };
        report.take(&outcome, plan.round, begun.elapsed());
        let mut known = lock(world);
        known.note_circles();
        let loops = known.loops && options.contexts.is_none();
        let stale = plan.partial_order && known.news > 0 || loops && !plan.livelock;
        report.nodes = known.nodes.len() as u64;
        drop(known);
        let again = match &outcome.end {
            End::Again => true,
            End::Complete => stale,
            // A finding is real whatever the footprints, but for fences that are forgotten too early under weak memory; and a
            // run that collects wants all there is.
            End::Found(found) => {
                let wants_all = options.collect || options.all_findings && outcome.cut.is_none();
                let again = wants_all || options.memory == Memory::Weak;
                stale && again && !matches!(found.kind, Kind::Stop(_))
            }
            End::Start(..) | End::Stopped(_) => false,
        };
        if !again {
            conclude(world, options, plan, outcome, report);
            repeat(world, report);
            if options.survey {
                report.survey = lock(world).survey();
            }
            return;
        }
        let finds = core::mem::take(&mut outcome.finds).into_values().collect();
        let finds = (finds, outcome.layout.edition);
        large |= outcome.states > options.lenient_above;
        plan.expected = plan.expected.max(outcome.states);
        lock(world).lenient = false;
        // Walks after a round are worth a fraction of what the round has cost.
        let worth = outcome.transitions / 4;
        drop(outcome);
        if plan.partial_order {
            report.executions += learn::walk(world, options, finds, worth);
        }
    }
}

fn plan(options: &Options<'_>, started: Instant) -> Plan {
    Plan {
        workers: options.workers,
        cap: u64::MAX,
        round: 0,
        expected: 0,
        partial_order: options.reductions.partial_order,
        // Whose turn it is tells CPUs apart, and so does what each CPU is known to have used.
        symmetry: options.reductions.symmetry && options.contexts.is_none() && options.memory != Memory::Weak,
        livelock: false,
        started,
        deadline: options.deadline.and_then(|limit| started.checked_add(limit)),
    }
}

/// Runs some of the code again. A model that does not do the same again gets no verdict.
fn repeat<S: Scenario>(world: &Mutex<World<'_, S>>, report: &mut Report) {
    if matches!(report.verdict, Verdict::Stopped(_)) {
        return;
    }
    if let Err(words) = lock(world).repeat(&mut Executor::default(), REPEATED) {
        (report.verdict, report.trace) = (Verdict::Misuses(words), None);
    }
}

fn conclude<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    plan: Plan,
    mut outcome: Outcome<S::Device>,
    report: &mut Report,
) {
    if options.collect {
        report.reached = Some(core::mem::take(&mut outcome.reached));
    }
    let mut end = core::mem::replace(&mut outcome.end, End::Again);
    if end == End::Complete && plan.livelock {
        match livelock::find(world, options, &outcome) {
            Ok(Some(found)) => end = End::Found(found),
            Ok(None) => {}
            Err(reason) => end = End::Stopped(reason),
        }
    }
    match end {
        End::Complete | End::Again => {
            report.verdict = match options.contexts {
                None => Verdict::Holds,
                Some(most) => {
                    Verdict::Unproved(format!("nothing found in executions of at most {most} contexts"))
                }
            };
        }
        End::Stopped(reason) => report.verdict = Verdict::Stopped(reason),
        End::Start(trouble, moves) => {
            report.verdict = match trouble {
                Trouble::Violation(violation) => violation.into(),
                Trouble::Stop(text) => Verdict::Stopped(text),
                Trouble::Restart | Trouble::Unknown(..) => {
                    Verdict::Stopped("the start needs a word that is not known".to_owned())
                }
            };
            report.trace = perform(world, options, &moves);
            let finding = Finding { verdict: report.verdict.clone(), trace: report.trace.clone() };
            report.findings.extend((options.all_findings && report.complete()).then_some(finding));
        }
        End::Found(found) => {
            report.cut = outcome.cut.take().filter(|_| options.all_findings);
            let all = if options.all_findings { core::mem::take(&mut outcome.findings) } else { vec![found] };
            let path = |found: Found| {
                let moves = trace::moves_to(world, options, &outcome, &found, plan.partial_order);
                (found.kind, moves)
            };
            let findings = all.into_iter().map(path).collect();
            drop(outcome);
            tell(world, options, plan, findings, report);
        }
    }
}

/// A finding, and the moves that come to it.
type Told = (Kind, Option<Vec<Move>>);

/// Reports findings, the most important first, with the shortest traces that can be had.
fn tell<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    plan: Plan,
    mut findings: Vec<Told>,
    report: &mut Report,
) {
    let stop = findings.iter().position(|(kind, _)| matches!(kind, Kind::Stop(_)));
    if let (Some(stop @ 1..), true) = (stop, options.all_findings) {
        report.cut = findings.drain(stop..).next().map(|(kind, _)| verdict(kind).1);
    }
    if options.shortest && plan.partial_order {
        shorten(world, options, plan, &mut findings);
    }
    report.findings = findings
        .into_iter()
        .map(|(kind, moves)| {
            let mut trace = moves.and_then(|moves| perform(world, options, &moves));
            let (verdict, text) = verdict(kind);
            if let (Some(trace), false) = (&mut trace, matches!(verdict, Verdict::Stopped(_))) {
                trace.outcome = text;
            }
            Finding { verdict, trace }
        })
        .collect();
    if let Some(first) = report.findings.first() {
        (report.verdict, report.trace) = (first.verdict.clone(), first.trace.clone());
    }
    if !options.all_findings || !report.complete() {
        report.findings.clear();
    }
}

/// The verdict of a finding, and its text.
fn verdict(kind: Kind) -> (Verdict, String) {
    let verdict: Verdict = match kind {
        Kind::Violation(violation) => violation.into(),
        Kind::Deadlock(text) => Verdict::Deadlock(text),
        Kind::Livelock(text) => Verdict::Livelock(text),
        Kind::Stop(text) => Verdict::Stopped(text),
    };
    let words = verdict.words().unwrap_or_default().to_owned();
    (verdict, words)
}

/// Makes the moves of a finding again, on histories that are not merged.
fn perform<S: Scenario>(world: &Mutex<World<'_, S>>, options: &Options<'_>, moves: &[Move]) -> Option<Trace> {
    let reductions = Reductions { merge: false, ..options.reductions };
    let exact = Options { reductions, ..options.clone() };
    let world = World::new(lock(world).scenario, &exact).ok()?;
    trace::perform(&Mutex::new(world), &exact, moves).ok()
}

/// Searches for the same findings without reduction, so that their paths have the fewest moves. If only one finding is
/// asked for, any of the same kind is enough.
fn shorten<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    plan: Plan,
    findings: &mut [Told],
) {
    let may_be_shorter = |(kind, _): &Told| matches!(kind, Kind::Violation(_) | Kind::Deadlock(_));
    if !findings.iter().any(may_be_shorter) {
        return;
    }
    for (kind, path) in unreduced(world, options, plan) {
        let same = |(known, _): &&mut Told| match options.all_findings {
            true => *known == kind,
            false => known.is_like(&kind),
        };
        let Some(known) = findings.iter_mut().find(same) else { continue };
        if known.1.as_ref().is_none_or(|moves| path.len() <= moves.len()) {
            *known = (kind, Some(path));
        }
    }
}

/// Findings of a search without reduction, which goes on for a while, and their paths.
fn unreduced<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    plan: Plan,
) -> Vec<(Kind, Vec<Move>)> {
    let quiet =
        Options { collect: false, progress: None, max_states: SHORTER, random: None, ..options.clone() };
    let limit = Instant::now().checked_add(SHORTER_TIME);
    let plan = Plan { workers: 1, partial_order: false, livelock: false, deadline: limit, ..plan };
    loop {
        let outcome = round(world, &quiet, plan);
        if outcome.end != End::Again {
            let path = |found: &Found| {
                let moves = trace::moves_to(world, &quiet, &outcome, found, false)?;
                Some((found.kind.clone(), moves))
            };
            return outcome.findings.iter().filter_map(path).collect();
        }
    }
}

/// Makes random executions.
fn sample<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    sampling: Sampling,
    started: Instant,
    report: &mut Report,
) {
    let plan = Plan { partial_order: true, ..plan(options, started) };
    let sampled = random::sample(world, options, sampling, plan.deadline);
    (report.transitions, report.executions) = (sampled.moves, sampled.started);
    (report.depth, report.nodes) = (sampled.longest, lock(world).nodes.len() as u64);
    if !sampled.findings.is_empty() {
        report.cut = sampled.stopped;
        let findings = sampled.findings.into_iter().map(|(kind, moves)| (kind, Some(moves))).collect();
        return tell(world, options, plan, findings, report);
    }
    let Sampling { runs, seed } = sampling;
    report.verdict = match sampled.stopped {
        Some(reason) => {
            Verdict::Stopped(format!("{reason}, after {} of {runs} random executions", sampled.runs))
        }
        None => Verdict::Unproved(format!(
            "nothing found in {runs} random executions (seed {seed}), of which {} were cut off",
            sampled.endless
        )),
    };
}

impl Report {
    fn take<D: crate::Device>(&mut self, outcome: &Outcome<D>, round: u32, time: Duration) {
        self.states = outcome.states;
        self.transitions = outcome.transitions;
        self.executions += outcome.started;
        self.rounds = round;
        self.final_round = time;
        self.peak_bytes = self.peak_bytes.max(outcome.bytes);
        self.depth = outcome.depth;
    }
}
