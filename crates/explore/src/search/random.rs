//! Random executions, for what is too large to be visited whole.
//!
//! Scheduling is by priorities that change at a few random moments (PCT: S. Burckhardt, P. Kothari, M. Musuvathi,
//! S. Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010): a bug that
//! takes `d` ordering constraints is met by one execution with a probability of at least 1 / (n k^(d-1)), with `n`
//! actors and `k` moves. Each CPU is three actors: its code, its store buffer, and the interrupts that it takes. One
//! that goes back in a loop gets the least priority, since the others must move for it to come out.

use crate::machine::device::Device;
use crate::machine::moves::{Action, Move};
use crate::machine::node::DONE;
use crate::machine::op::Op;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, Trouble, lock};
use crate::machine::words;
use crate::machine::world::World;
use crate::options::{Options, Progress, Sampling};
use crate::search::hub::Kind;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Moves after which an execution is cut off.
const LENGTH: usize = 20_000;
/// Executions change priorities 0 to this many times less one.
const CHANGES: u64 = 5;
/// Actors of a CPU.
const ACTORS: usize = 3;
/// Findings that are kept at most.
const FINDINGS: usize = 1000;

/// What came of random executions.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    /// Each finding, with the moves of the shortest execution that came to it.
    pub(crate) findings: BTreeMap<Kind, Vec<Move>>,
    /// Executions that were made, and those among them that came to no end.
    pub(crate) runs: u64,
    pub(crate) endless: u64,
    pub(crate) moves: u64,
    /// Moves of the longest.
    pub(crate) longest: u32,
    /// How often code was run.
    pub(crate) started: u64,
    /// Why there were not as many as wanted.
    pub(crate) stopped: Option<String>,
}

/// Makes random executions until there are enough, a limit is met, or, unless all findings are wanted, one finds
/// something.
pub(crate) fn sample<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    sampling: Sampling,
    deadline: Option<Instant>,
) -> Sampled {
    let mut sampled = Sampled::default();
    let mut shown = Instant::now();
    let goes_on = |sampled: &Sampled| {
        let enough = !options.all_findings && !sampled.findings.is_empty();
        sampled.runs < sampling.runs && sampled.stopped.is_none() && !enough
    };
    while goes_on(&sampled) {
        let layout = lock(world).layout(options);
        let mut machine = Machine::new(world, layout, options);
        machine.partial_order = false;
        machine.collect = false;
        while goes_on(&sampled) {
            machine.log = Some(Vec::new());
            let dice = Dice::new(sampling.seed, sampled.runs);
            let end = Execution::new(dice, &machine, sampled.longest).run(&mut machine);
            if matches!(end, End::Outdated) {
                break;
            }
            sampled.take(end, machine.log.take().unwrap_or_default());
            sampled.stopped = sampled.stopped.take().or_else(|| limit(options, deadline));
            show(options, sampling, &sampled, &mut shown);
        }
        sampled.started += machine.executor.started;
    }
    sampled
}

fn limit(options: &Options<'_>, deadline: Option<Instant>) -> Option<String> {
    if options.stop.is_some_and(|stop| stop.load(Relaxed)) {
        return Some("stopped from outside".to_owned());
    }
    deadline.is_some_and(|deadline| Instant::now() >= deadline).then(|| "out of time".to_owned())
}

fn show(options: &Options<'_>, sampling: Sampling, sampled: &Sampled, shown: &mut Instant) {
    let Some(progress) = options.progress else { return };
    if shown.elapsed() >= Duration::from_millis(100) {
        *shown = Instant::now();
        let left = Some(sampling.runs - sampled.runs);
        progress(Progress { states: 0, frontier: 0, depth: sampled.longest, round: 1, left });
    }
}

impl Sampled {
    fn take(&mut self, end: End, moves: Vec<Move>) {
        self.runs += 1;
        self.moves += moves.len() as u64;
        self.longest = self.longest.max(moves.len() as u32);
        match end {
            End::Found(kind) => {
                let shorter = self.findings.get(&kind).is_none_or(|known| moves.len() < known.len());
                if shorter && (self.findings.len() < FINDINGS || self.findings.contains_key(&kind)) {
                    self.findings.insert(kind, moves);
                }
            }
            End::Stop(reason) => self.stopped = Some(reason),
            End::CutOff => self.endless += 1,
            End::Fine | End::Outdated => {}
        }
    }
}

/// How an execution ended.
enum End {
    Fine,
    Found(Kind),
    /// It was cut off.
    CutOff,
    /// A limit of the machine was met.
    Stop(String),
    /// The layout does not have a word that was met.
    Outdated,
}

/// One execution.
struct Execution {
    dice: Dice,
    /// Of each actor; the highest one moves.
    priorities: Vec<i64>,
    /// Moves after which the actor whose turn it is gets one of the lowest priorities, last one first.
    changes: Vec<u64>,
    lowest: i64,
}

impl Execution {
    /// Draws priorities and when they change, if executions take about `length` moves.
    fn new<S: Scenario>(mut dice: Dice, machine: &Machine<'_, '_, S>, length: u32) -> Self {
        let count = machine.layout.cpus * ACTORS;
        let mut priorities: Vec<i64> = (1..=count as i64).collect();
        for last in (1..count).rev() {
            priorities.swap(last, dice.below(last as u64 + 1) as usize);
        }
        let length = u64::from(length).max(16);
        let mut changes: Vec<u64> = (0..dice.below(CHANGES)).map(|_| dice.below(length)).collect();
        changes.sort_unstable_by(|a, b| b.cmp(a));
        Self { dice, priorities, changes, lowest: 0 }
    }

    fn run<S: Scenario>(mut self, machine: &mut Machine<'_, '_, S>) -> End {
        let mut work = match machine.power_on() {
            Ok(work) => work,
            Err(trouble) => return End::of(*trouble),
        };
        for step in 0..LENGTH as u64 {
            let moved = match self.step(machine, &mut work, step) {
                Ok(moved) => moved,
                Err(trouble) => return End::of(*trouble),
            };
            if !moved {
                return finish(machine, &mut work);
            }
        }
        End::CutOff
    }

    /// Has the actor of the highest priority move, of those that can.
    fn step<S: Scenario>(
        &mut self,
        machine: &mut Machine<'_, '_, S>,
        work: &mut Work<S::Device>,
        step: u64,
    ) -> Result<bool, Box<Trouble>> {
        let mut moves = machine.candidates(work);
        // Those of one actor stand in random order.
        for last in (1..moves.len()).rev() {
            moves.swap(last, self.dice.below(last as u64 + 1) as usize);
        }
        if self.changes.last().is_some_and(|&change| change <= step) {
            self.changes.pop();
            let first = moves.iter().map(|&mov| actor(mov)).max_by_key(|&actor| self.priorities[actor]);
            first.into_iter().for_each(|actor| self.demote(actor));
        }
        moves.sort_by_key(|&mov| -self.priorities[actor(mov)]);
        for mov in moves {
            let loops = mov.action == Action::Run
                && machine.nodes[work.node(&machine.layout, mov.cpu) as usize].op == Op::LoopBack;
            if machine.apply(work, mov)? {
                if loops {
                    self.demote(actor(mov));
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn demote(&mut self, actor: usize) {
        self.lowest -= 1;
        self.priorities[actor] = self.lowest;
    }
}

fn actor(mov: Move) -> usize {
    let part = match mov.action {
        Action::Run | Action::Older(_) | Action::Choose(_) => 0,
        Action::Drain(_) => 1,
        Action::Interrupt(_) => 2,
    };
    mov.cpu * ACTORS + part
}

/// Checks a state in which nothing moves.
fn finish<S: Scenario>(machine: &mut Machine<'_, '_, S>, work: &mut Work<S::Device>) -> End {
    if (0..machine.layout.cpus).any(|cpu| work.node(&machine.layout, cpu) != DONE) {
        return End::Found(Kind::Deadlock(words::stuck(machine, work)));
    }
    let device = machine.scenario.device();
    match device.finish(&mut machine.device_view(work)) {
        Ok(()) => End::Fine,
        Err(text) => End::Found(Kind::Violation(text)),
    }
}

impl End {
    fn of(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Violation(text) => Self::Found(Kind::Violation(text)),
            Trouble::Stop(text) => Self::Stop(text),
            Trouble::Restart | Trouble::Unknown(..) => Self::Outdated,
        }
    }
}

/// Random numbers (splitmix64), a sequence of its own for each execution.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, run: u64) -> Self {
        let mut dice = Self(seed);
        dice.0 = dice.next() ^ run;
        Self(dice.next())
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}
