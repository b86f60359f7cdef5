//! The whole of an exploration: learning, rounds, verdict, trace.

use crate::machine::layout::{CPUS, NESTING};
use crate::machine::moves::Move;
use crate::machine::run::Executor;
use crate::machine::scenario::Scenario;
use crate::machine::step::{Trouble, lock};
use crate::machine::world::World;
use crate::options::Options;
use crate::report::trace;
use crate::report::{Report, Trace, Verdict};
use crate::search::hub::{End, Found, Kind, Plan};
use crate::search::learn;
use crate::search::livelock;
use crate::search::round::{Outcome, round};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// States of the first round, which mostly learns.
const FIRST: u64 = 20_000;
/// Steps of code that are made again at the end, to see whether it does the same.
const REPEATED: u64 = 20_000;
/// States of the search for a shorter trace, and how long it may take.
const SHORTER: u64 = 1_500_000;
const SHORTER_TIME: Duration = Duration::from_secs(2);

/// Visits every execution of `scenario`.
pub fn explore<S: Scenario>(scenario: &S, options: &Options<'_>) -> Report {
    let started = Instant::now();
    let mut report = Report::without_states(Verdict::Holds);
    match check(scenario, options).and_then(|()| World::new(scenario, options)) {
        Ok(world) => run(&Mutex::new(world), options, started, &mut report),
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
    Ok(())
}

fn run<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    started: Instant,
    report: &mut Report,
) {
    let mut plan = Plan {
        workers: options.workers,
        cap: u64::MAX,
        round: 0,
        partial_order: options.reductions.partial_order,
        symmetry: options.reductions.symmetry,
        livelock: false,
        started,
        deadline: options.deadline.and_then(|limit| started.checked_add(limit)),
    };
    report.executions += learn::walk(world, options, (Vec::new(), 0), learn::STEPS);
    let mut large = options.lenient_above == 0;
    loop {
        plan.round += 1;
        learn::close_footprints(&mut lock(world));
        lock(world).lenient = large;
        plan.livelock = lock(world).loops;
        let begun = Instant::now();
        // The first round mostly learns, unless there is nothing to learn.
        let mut outcome = if plan.round == 1 && (plan.partial_order || plan.workers > 1) {
            round(world, options, Plan { workers: 1, cap: FIRST, ..plan })
        } else {
            round(world, options, plan)
        };
        report.take(&outcome, plan.round, begun.elapsed());
        let known = lock(world);
        let stale = plan.partial_order && known.news > 0 || known.loops && !plan.livelock;
        report.nodes = known.nodes.len() as u64;
        drop(known);
        let again = match &outcome.end {
            End::Again => true,
            End::Complete => stale,
            // A finding is real whatever the footprints; but a run that collects wants all there is.
            End::Found(found) => stale && options.collect && !matches!(found.kind, Kind::Stop(_)),
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
        let finds = (core::mem::take(&mut outcome.finds), outcome.layout.edition);
        large |= outcome.states > options.lenient_above;
        lock(world).lenient = false;
        // Walks after a round are worth a fraction of what the round has cost.
        let worth = outcome.transitions / 4;
        drop(outcome);
        if plan.partial_order {
            report.executions += learn::walk(world, options, finds, worth);
        }
    }
}

/// Runs some of the code again. What does not do the same again has no verdict.
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
        End::Complete | End::Again => report.verdict = Verdict::Holds,
        End::Stopped(reason) => report.verdict = Verdict::Stopped(reason),
        End::Start(trouble, moves) => {
            report.verdict = match trouble {
                Trouble::Violation(violation) => violation.into(),
                Trouble::Stop(text) => Verdict::Stopped(text),
                Trouble::Restart => Verdict::Stopped("the start needs a word that is not known".to_owned()),
            };
            report.trace = trace::perform(world, options, &moves).ok();
        }
        End::Found(found) => {
            let moves = trace::moves_to(world, options, &outcome, &found, plan.partial_order);
            drop(outcome);
            finding(world, options, plan, (found, moves), report);
        }
    }
}

/// Reports a finding with the shortest trace that can be had.
fn finding<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    plan: Plan,
    (mut found, mut moves): (Found, Option<Vec<Move>>),
    report: &mut Report,
) {
    if options.shortest && plan.partial_order && matches!(found.kind, Kind::Violation(_) | Kind::Deadlock(_))
    {
        if let Some((shorter, path)) = shorter(world, options, plan, &found.kind) {
            if moves.as_ref().is_none_or(|moves| path.len() <= moves.len()) {
                (found, moves) = (shorter, Some(path));
            }
        }
    }
    report.verdict = match found.kind {
        Kind::Violation(violation) => violation.into(),
        Kind::Deadlock(text) => Verdict::Deadlock(text),
        Kind::Livelock(text) => Verdict::Livelock(text),
        Kind::Stop(text) => Verdict::Stopped(text),
    };
    report.trace = moves.and_then(|moves| trace::perform(world, options, &moves).ok());
    if let (true, Some(trace), Some(words)) =
        (report.verdict.is_finding(), &mut report.trace, report.verdict.words())
    {
        words.clone_into(&mut trace.outcome);
    }
}

/// Looks for a finding of the same kind without reduction, so that its path has the fewest moves.
fn shorter<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    plan: Plan,
    kind: &Kind,
) -> Option<(Found, Vec<Move>)> {
    let quiet = Options { collect: false, progress: None, max_states: SHORTER, ..options.clone() };
    let limit = Instant::now().checked_add(SHORTER_TIME);
    let plan = Plan { workers: 1, partial_order: false, livelock: false, deadline: limit, ..plan };
    loop {
        let mut outcome = round(world, &quiet, plan);
        match core::mem::replace(&mut outcome.end, End::Complete) {
            End::Again => continue,
            End::Found(found) if found.kind.is_like(kind) => {
                let moves = trace::moves_to(world, &quiet, &outcome, &found, false)?;
                return Some((found, moves));
            }
            _ => return None,
        }
    }
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
