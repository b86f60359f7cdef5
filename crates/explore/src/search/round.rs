//! One round: all workers explore until nothing is left, a rule is broken, or a limit is met.

use crate::machine::layout::Layout;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Trouble, lock};
use crate::machine::world::World;
use crate::options::Options;
use crate::search::coder::Authority;
use crate::search::hub::{Board, End, Found, Hub, Plan};
use crate::search::reached::Reached;
use crate::search::set::States;
use crate::search::worker::{FINDS, Leavings, Worker};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a round leaves behind.
pub(crate) struct Outcome<D: crate::Device> {
    pub(crate) end: End,
    pub(crate) findings: Vec<Found>,
    /// Why there may be more findings.
    pub(crate) cut: Option<String>,
    pub(crate) layout: Layout,
    pub(crate) authority: Authority<D>,
    pub(crate) groups: Vec<Vec<usize>>,
    pub(crate) sets: Vec<States>,
    pub(crate) edges: Vec<Vec<(u32, u32)>>,
    pub(crate) ends: Vec<u32>,
    pub(crate) reached: Reached,
    pub(crate) finds: BTreeMap<(u32, u64), Work<D>>,
    pub(crate) states: u64,
    pub(crate) transitions: u64,
    pub(crate) depth: u32,
    pub(crate) bytes: u64,
    pub(crate) started: u64,
}

/// Runs one round.
pub(crate) fn round<'s, S: Scenario>(
    world: &Mutex<World<'s, S>>,
    options: &Options<'_>,
    plan: Plan,
) -> Outcome<S::Device> {
    let hub = Hub::new(world, options, plan);
    let mut machine = hub.machine();
    machine.log = Some(Vec::new());
    let start = machine.start();
    let moves = machine.log.take().unwrap_or_default();
    let start = match start {
        Ok(start) => start,
        Err(trouble) => {
            let end = if *trouble == Trouble::Restart { End::Again } else { End::Start(*trouble, moves) };
            return close(hub, end, Vec::new());
        }
    };
    let passed = core::mem::take(&mut machine.passed);
    drop(machine);
    let work = |me: usize| {
        let mut worker = Worker::new(&hub, me, hub.machine(), &start);
        worker.machine.passed.clone_from(&passed);
        let mut start = start.clone();
        worker.explore(&mut start);
        worker.finish()
    };
    let leavings = together(plan.workers, work).unwrap_or_else(|(given, error)| {
        hub.stop(format!("the host gives {given} of {} threads: {error}", plan.workers));
        Vec::new()
    });
    let end = hub.end();
    close(hub, end, leavings)
}

/// Name of the threads that explore, but for the one that asked for it.
pub const WORKER: &str = "explorer";

/// Runs `work` on as many threads at once, the caller among them; or on none, if the host gives fewer threads.
fn together<T: Send>(
    workers: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Result<Vec<T>, (usize, std::io::Error)> {
    // They wait for each other at each level, so none begins before all are there.
    let all_there = Mutex::new(false);
    let begin = |me| {
        let go = *lock(&all_there);
        go.then(|| work(me))
    };
    std::thread::scope(|scope| {
        let mut gate = lock(&all_there);
        let mut others = Vec::new();
        for me in 1..workers {
            let other =
                std::thread::Builder::new().name(WORKER.to_owned()).spawn_scoped(scope, move || begin(me));
            others.push(other.map_err(|error| (me, error))?);
        }
        *gate = true;
        drop(gate);
        let mut all = vec![work(0)];
        all.extend(
            others
                .into_iter()
                .filter_map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
        );
        Ok(all)
    })
}

fn close<S: Scenario>(
    hub: Hub<'_, '_, S>,
    end: End,
    leavings: Vec<Leavings<S::Device>>,
) -> Outcome<S::Device> {
    let sum = |pick: fn(&Board) -> &AtomicU64| {
        hub.boards.iter().map(|board| pick(board).load(Relaxed)).sum::<u64>()
    };
    let (findings, cut) = hub.findings();
    let mut outcome = Outcome {
        end,
        findings,
        cut,
        sets: Vec::new(),
        edges: Vec::new(),
        ends: Vec::new(),
        reached: Reached::default(),
        finds: BTreeMap::new(),
        states: sum(|board| &board.states),
        transitions: sum(|board| &board.transitions),
        depth: hub.depth.load(Relaxed),
        bytes: hub.peak.load(Relaxed),
        started: 0,
        layout: hub.layout,
        authority: hub.authority,
        groups: hub.groups,
    };
    for leaving in leavings {
        outcome.sets.push(leaving.states);
        outcome.edges.push(leaving.edges);
        outcome.ends.extend(leaving.ends);
        outcome.reached.locals.extend(leaving.reached.locals);
        outcome.reached.finals.extend(leaving.reached.finals);
        outcome.reached.ends.extend(leaving.reached.ends);
        outcome.finds.extend(leaving.finds);
        outcome.started += leaving.started;
    }
    while outcome.finds.len() > FINDS {
        outcome.finds.pop_last();
    }
    outcome
}
