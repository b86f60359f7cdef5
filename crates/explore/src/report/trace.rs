//! From a finding to the moves that lead there, and from moves to a drawing.

use crate::machine::device::Device;
use crate::machine::moves::{Action, Move};
use crate::machine::node::NONE;
use crate::machine::op::Op;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, Trouble, lock};
use crate::machine::words;
use crate::machine::world::World;
use crate::options::Options;
use crate::report::snapshot;
use crate::report::{Step, Trace};
use crate::search::coder::Coder;
use crate::search::hub::Found;
use crate::search::round::Outcome;
use std::sync::Mutex;

/// The moves that lead from power-on to a finding.
pub(crate) fn moves_to<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    outcome: &Outcome<S::Device>,
    found: &Found,
    partial_order: bool,
) -> Option<Vec<Move>> {
    let mut path = Vec::new();
    let mut state = found.state;
    while state != NONE {
        let set = &outcome.sets[state as usize % outcome.sets.len()];
        let index = state / outcome.sets.len() as u32;
        path.push(set.key(index));
        state = set.parent(index);
    }
    let mut machine = Machine::new(world, outcome.layout.clone(), options);
    machine.partial_order = partial_order;
    let mut coder = Coder::new(&outcome.authority, &outcome.layout, outcome.groups.clone());
    machine.log = Some(Vec::new());
    let mut work = machine.start().ok()?;
    let mut key = vec![0; outcome.layout.cpus + 1];
    for goal in path.iter().rev().skip(1) {
        work = towards(&mut machine, &mut coder, work, goal, &mut key)?;
    }
    if let Some(last) = found.last {
        // The state may be a permutation of the stored one, so the move may be another CPU's.
        final_move(&mut machine, &work, last);
    }
    machine.log.take()
}

/// Makes the move after which the state has this key.
fn towards<S: Scenario>(
    machine: &mut Machine<'_, '_, S>,
    coder: &mut Coder<'_, S::Device>,
    work: Work<S::Device>,
    goal: &[u32],
    key: &mut [u32],
) -> Option<Work<S::Device>> {
    let length = machine.log.as_ref().map_or(0, Vec::len);
    for mov in machine.candidates(&work) {
        machine.prepare(&work);
        let mut next = work.clone();
        if machine.successor(&mut next, mov) == Ok(true) {
            coder.encode(&mut next, None, key);
            if key == goal {
                return Some(next);
            }
        }
        if let Some(log) = &mut machine.log {
            log.truncate(length);
        }
    }
    None
}

/// Makes the move that ends in a finding: `wanted` if it does, otherwise the first that does.
fn final_move<S: Scenario>(machine: &mut Machine<'_, '_, S>, work: &Work<S::Device>, wanted: Move) {
    let length = machine.log.as_ref().map_or(0, Vec::len);
    let mut candidates = machine.candidates(work);
    candidates.sort_by_key(|&mov| mov != wanted);
    for mov in candidates {
        machine.prepare(work);
        let mut next = work.clone();
        if machine.successor(&mut next, mov).is_err() {
            return;
        }
        if let Some(log) = &mut machine.log {
            log.truncate(length);
        }
    }
}

impl<S: Scenario> Machine<'_, '_, S> {
    /// Moves that may be possible in a state.
    pub(crate) fn candidates(&self, work: &Work<S::Device>) -> Vec<Move> {
        let mut moves = Vec::new();
        for cpu in 0..self.layout.cpus {
            let mut add = |action| moves.push(Move { cpu, action });
            match self.nodes[work.node(&self.layout, cpu) as usize].op {
                Op::Choose(n) => (0..n).for_each(|pick| add(Action::Choose(pick))),
                _ => {
                    add(Action::Run);
                    (1..=self.passable(work, cpu)).for_each(|newer| add(Action::Older(newer)));
                }
            }
            let lines = self.deliverable(work, cpu);
            (0..32).filter(|line| lines >> line & 1 != 0).for_each(|line| add(Action::Interrupt(line)));
            for index in 0..work.buffered(&self.layout, cpu) {
                if self.drainable(work, cpu, index) {
                    add(Action::Drain(index as u8));
                }
            }
        }
        moves
    }
}

/// Runs exactly `moves`, with words for each.
pub(crate) fn perform<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    moves: &[Move],
) -> Result<Trace, (usize, String)> {
    // A word that nobody has met yet needs a new layout: begin again.
    loop {
        let layout = lock(world).layout(options);
        let mut machine = Machine::new(world, layout, options);
        machine.partial_order = false;
        match attempt(&mut machine, options, moves) {
            Ok(Some(trace)) => return Ok(trace),
            Ok(None) => {}
            Err(error) => return Err(error),
        }
    }
}

fn attempt<S: Scenario>(
    machine: &mut Machine<'_, '_, S>,
    options: &Options<'_>,
    moves: &[Move],
) -> Result<Option<Trace>, (usize, String)> {
    let mut trace = Trace::default();
    let mut work = match machine.power_on() {
        Ok(work) => work,
        Err(trouble) => return verdict(*trouble, trace, 0),
    };
    if options.snapshots {
        trace.snapshots.push(snapshot::take(machine, &work));
    }
    for (index, &mov) in moves.iter().enumerate() {
        if mov.cpu >= machine.layout.cpus {
            return Err((index, words::refusal(machine, &work, mov)));
        }
        let mut next = work.clone();
        let moved = machine.apply(&mut next, mov);
        let after = match &moved {
            Ok(true) => Some(&next),
            Ok(false) => return Err((index, words::refusal(machine, &work, mov))),
            Err(_) => None,
        };
        let text = words::describe(machine, &work, after, mov);
        let state = machine.scenario.device().show_state(&machine.device_view(&mut next.clone()));
        trace.steps.push(describe(machine, &work, &next, mov, (text, state)));
        if options.snapshots {
            trace.snapshots.push(snapshot::take(machine, &next));
        }
        if let Err(trouble) = moved {
            return verdict(*trouble, trace, index + 1);
        }
        work = next;
    }
    trace.outcome = ending(machine, &mut work);
    Ok(Some(trace))
}

/// The message about the state in which a list of moves ends.
fn ending<S: Scenario>(machine: &mut Machine<'_, '_, S>, work: &mut Work<S::Device>) -> String {
    let moves = machine.candidates(work);
    let stuck = !moves.into_iter().any(|mov| machine.apply(&mut work.clone(), mov) != Ok(false));
    if !stuck {
        return String::new();
    }
    let cpus = machine.layout.cpus;
    if (0..cpus).any(|cpu| work.node(&machine.layout, cpu) != crate::machine::node::DONE) {
        return words::stuck(machine, work);
    }
    let device = machine.scenario.device();
    device
        .finish(&mut machine.device_view(work))
        .err()
        .map_or_else(String::new, |violation| violation.words().to_owned())
}

fn verdict(trouble: Trouble, mut trace: Trace, index: usize) -> Result<Option<Trace>, (usize, String)> {
    match trouble {
        Trouble::Violation(violation) => {
            violation.words().clone_into(&mut trace.outcome);
            Ok(Some(trace))
        }
        Trouble::Stop(text) => Err((index.saturating_sub(1), text)),
        Trouble::Restart | Trouble::Unknown(..) => Ok(None),
    }
}

fn describe<S: Scenario>(
    machine: &Machine<'_, '_, S>,
    before: &Work<S::Device>,
    after: &Work<S::Device>,
    mov: Move,
    (text, state): (String, Vec<String>),
) -> Step {
    let world = lock(machine.world);
    // Entering a handler shows as the handler's; everything else as what was about to run.
    let at = if matches!(mov.action, Action::Interrupt(_)) { after } else { before };
    let depth = at.top(&machine.layout, mov.cpu) as u8;
    let story = &world.stories[at.node(&machine.layout, mov.cpu) as usize];
    let place = if matches!(mov.action, Action::Drain(_)) { None } else { story.place };
    Step { mov, text, note: story.note, place, depth, state }
}
