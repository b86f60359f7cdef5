//! Livelocks: states from which CPUs go on, but from which no state can be reached in which all have finished.
//!
//! Only loops that go back can make one, so this is looked for only if the program has such loops. Reductions keep
//! what is asked here: a step that runs at once commutes with all others, so a state can reach the end exactly if the
//! state after that step can.

use crate::machine::device::Device;
use crate::machine::node::NONE;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, lock};
use crate::machine::words;
use crate::machine::world::World;
use crate::options::Options;
use crate::search::coder::Coder;
use crate::search::hub::{Found, Kind};
use crate::search::round::Outcome;
use std::sync::Mutex;

/// The livelock with the shortest path to it, if there is one; an error if looking for it needs too much memory.
pub(crate) fn find<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    outcome: &Outcome<S::Device>,
) -> Result<Option<Found>, String> {
    let workers = outcome.sets.len();
    let states = outcome.sets.iter().map(|set| set.len() as usize).max().unwrap_or(0) * workers;
    let edges: usize = outcome.edges.iter().map(Vec::len).sum();
    let bytes = outcome.bytes + (edges * 4 + states * 9) as u64;
    if bytes > options.max_bytes {
        return Err(format!("looking for livelocks takes more than {} bytes", options.max_bytes));
    }
    let ending = can_end(outcome, states);
    let exists = |&state: &u32| state / (workers as u32) < outcome.sets[state as usize % workers].len();
    // A worker numbers its states in the order of their depth, so its first one is its nearest.
    let nearest = |me: usize| {
        let own = (me..states).step_by(workers).map(|state| state as u32);
        own.filter(exists).find(|&state| !ending[state as usize])
    };
    let Some(state) = (0..workers).filter_map(nearest).min_by_key(|&state| depth(outcome, state)) else {
        return Ok(None);
    };
    let mut machine = Machine::new(world, outcome.layout.clone(), options);
    let mut coder = Coder::new(&outcome.authority, &outcome.layout, outcome.groups.clone());
    let reset = lock(world).scenario.device().reset(outcome.layout.cpus);
    let mut work = Work::new(&outcome.layout, reset);
    coder.decode(outcome.sets[state as usize % workers].key(state / workers as u32), &mut work);
    machine.sync();
    let text = words::endless(&machine, &work);
    Ok(Some(Found { kind: Kind::Livelock(text), state, last: None }))
}

/// For each state whether the end can be reached from it: walks the edges backwards from the ends.
fn can_end<D: Device>(outcome: &Outcome<D>, states: usize) -> Vec<bool> {
    let mut starts = vec![0_u32; states + 1];
    for &(_, to) in outcome.edges.iter().flatten() {
        starts[to as usize + 1] += 1;
    }
    for state in 0..states {
        starts[state + 1] += starts[state];
    }
    let mut sources = vec![0_u32; starts[states] as usize];
    let mut next = starts.clone();
    for &(from, to) in outcome.edges.iter().flatten() {
        sources[next[to as usize] as usize] = from;
        next[to as usize] += 1;
    }
    drop(next);
    let mut ending = vec![false; states];
    let mut todo = outcome.ends.clone();
    while let Some(state) = todo.pop() {
        let state = state as usize;
        if !core::mem::replace(&mut ending[state], true) {
            todo.extend_from_slice(&sources[starts[state] as usize..starts[state + 1] as usize]);
        }
    }
    ending
}

fn depth<D: Device>(outcome: &Outcome<D>, mut state: u32) -> u32 {
    let workers = outcome.sets.len();
    let mut depth = 0;
    loop {
        state = outcome.sets[state as usize % workers].parent(state / workers as u32);
        if state == NONE {
            return depth;
        }
        depth += 1;
    }
}
