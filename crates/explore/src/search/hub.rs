//! What the workers of a round share: limits, findings, mail, and when a level or the round is over.

use crate::machine::layout::Layout;
use crate::machine::moves::Move;
use crate::machine::scenario::Scenario;
use crate::machine::step::{Machine, Trouble, lock};
use crate::machine::violation::Violation;
use crate::machine::world::World;
use crate::options::{Options, Progress};
use crate::search::coder::Authority;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

/// Findings that are kept at most.
const FINDINGS: usize = 1000;

/// Something to report, and how to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    /// The stored state (a number among all workers').
    pub(crate) state: u32,
    /// The move that did it, if it takes one more.
    pub(crate) last: Option<Move>,
}

/// What kind of finding. Earlier ones matter more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Violation(Violation),
    Deadlock(String),
    Livelock(String),
    Stop(String),
}

impl Kind {
    /// Whether both are of one kind, whatever they say.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let same = core::mem::discriminant(self) == core::mem::discriminant(other);
        match (self, other) {
            (Self::Violation(one), Self::Violation(other)) => {
                core::mem::discriminant(one) == core::mem::discriminant(other)
            }
            _ => same,
        }
    }
}

/// What a round is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    /// Give up at the end of the level in which this many states are reached.
    pub(crate) cap: u64,
    pub(crate) round: u32,
    /// States of the largest round before.
    pub(crate) expected: u64,
    pub(crate) partial_order: bool,
    pub(crate) symmetry: bool,
    pub(crate) livelock: bool,
    pub(crate) started: Instant,
    pub(crate) deadline: Option<Instant>,
}

/// How a round ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Every state was expanded.
    Complete,
    Found(Found),
    /// The start itself breaks a rule.
    Start(Trouble, Vec<Move>),
    /// A limit was met.
    Stopped(String),
    /// The layout is out of date, footprints were too small, or the cap was reached.
    Again,
}

/// Histories that code has not been run along: a node, and its answer.
#[derive(Debug, Default)]
struct Asked {
    now: Vec<(u32, u16)>,
    /// How many were asked for in all.
    ever: usize,
}

/// What one worker tells the others.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) states: AtomicU64,
    pub(crate) waiting: AtomicU64,
    pub(crate) transitions: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// What the workers of a round share.
pub(crate) struct Hub<'a, 's, S: Scenario> {
    world: &'a Mutex<World<'s, S>>,
    options: &'a Options<'a>,
    pub(crate) plan: Plan,
    pub(crate) scenario: &'s S,
    pub(crate) layout: Layout,
    pub(crate) authority: Authority<S::Device>,
    pub(crate) groups: Vec<Vec<usize>>,
    pub(crate) workers: usize,
    pub(crate) livelock: bool,
    /// Bundles of states that wait for their owners.
    pub(crate) mail: Vec<Mutex<Vec<Vec<u32>>>>,
    pub(crate) barrier: Barrier,
    pub(crate) boards: Vec<Board>,
    pub(crate) restart: AtomicBool,
    /// Code that states of this level have come to the end of.
    asked: Mutex<Asked>,
    halt: Mutex<Option<String>>,
    halting: AtomicBool,
    found: Mutex<BTreeMap<Kind, Found>>,
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
    over: AtomicBool,
    pub(crate) depth: AtomicU32,
    pub(crate) peak: AtomicU64,
    first_news: AtomicU64,
    last_progress: Mutex<Instant>,
    /// States that waited at the end of the last level, and roughly how many are still to be expanded.
    outlook: Mutex<(u64, Option<u64>)>,
}

impl<S: Scenario> Hub<'_, '_, S> {
    /// The worker that owns states with this hash.
    #[inline]
    pub(crate) fn owner(&self, hash: u64) -> usize {
        (((hash >> 48) * self.workers as u64) >> 16) as usize
    }

    /// Keeps a finding that is new. Unless all are asked for, the most important one of this level is enough; of equals
    /// the first in the alphabet, so that the outcome does not depend on who was faster.
    pub(crate) fn report(&self, found: Found) {
        let mut all = lock(&self.found);
        if all.contains_key(&found.kind) {
            return;
        }
        all.insert(found.kind.clone(), found);
        let most = if self.options.all_findings { FINDINGS } else { 1 };
        if all.len() > most {
            all.pop_last();
        }
    }

    /// Keeps a worker's panic until all have stopped.
    pub(crate) fn crash(&self, panic: Box<dyn std::any::Any + Send>) {
        lock(&self.panic).get_or_insert(panic);
        self.halting.store(true, Relaxed);
    }

    pub(crate) fn halted(&self) -> bool {
        self.halting.load(Relaxed) || self.restart.load(Relaxed)
    }

    /// Looks at limits and the clock.
    pub(crate) fn watch(&self) {
        let sum = |pick: fn(&Board) -> &AtomicU64| {
            self.boards.iter().map(|board| pick(board).load(Relaxed)).sum::<u64>()
        };
        let states = sum(|board| &board.states);
        let bytes =
            sum(|board| &board.bytes) + self.authority.bytes() as u64 + lock(self.world).bytes() as u64;
        self.peak.fetch_max(bytes, Relaxed);
        let now = Instant::now();
        let reason = if self.options.stop.is_some_and(|stop| stop.load(Relaxed)) {
            Some("stopped from outside".to_owned())
        } else if states > self.options.max_states {
            Some(format!("more than {} states", self.options.max_states))
        } else if bytes > self.options.max_bytes {
            Some(format!("more than {} bytes of states and tables", self.options.max_bytes))
        } else if states > u64::from(u32::MAX) / 2 {
            Some("more states than 32-bit numbers".to_owned())
        } else if self.plan.deadline.is_some_and(|deadline| now >= deadline) {
            let after = now.duration_since(self.plan.started);
            Some(format!("out of time after {:.1} s", after.as_secs_f64()))
        } else {
            None
        };
        if let Some(reason) = reason {
            self.stop(reason);
        }
        if let Some(progress) = self.options.progress {
            let mut last = lock(&self.last_progress);
            if now.duration_since(*last) >= Duration::from_millis(100) {
                *last = now;
                let (frontier, depth) = (sum(|board| &board.waiting), self.depth.load(Relaxed));
                let left = lock(&self.outlook).1;
                progress(Progress { states, frontier, depth, round: self.plan.round, left });
            }
        }
    }

    /// Ends the exploration before all is visited.
    pub(crate) fn stop(&self, reason: String) {
        lock(&self.halt).get_or_insert(reason);
        self.halting.store(true, Relaxed);
    }

    /// Asks for code to be run; `questions` is empty afterwards.
    pub(crate) fn ask(&self, questions: &mut Vec<(u32, u16)>) {
        let mut asked = lock(&self.asked);
        asked.ever += questions.len();
        asked.now.append(questions);
    }

    /// How many questions there were so far.
    pub(crate) fn asked(&self) -> usize {
        lock(&self.asked).ever
    }

    /// Runs the code that was asked for, in an order that does not depend on who asked first: which nodes there are,
    /// and how they are numbered, is the same for any number of workers.
    pub(crate) fn answer(&self, machine: &mut Machine<'_, '_, S>) {
        let mut questions = core::mem::take(&mut lock(&self.asked).now);
        let mut world = lock(self.world);
        questions.sort_unstable_by_key(|&(node, answer)| (node, world.values.decode(answer)));
        questions.dedup();
        for (node, answer) in questions {
            world.grow(&mut machine.executor, node, answer);
        }
        if world.edition != self.layout.edition {
            self.restart.store(true, Relaxed);
        }
    }

    /// Meets the other workers at the end of a level; whether the round is over. The decision looks only at what
    /// is the same for any number of workers, unless a limit was met.
    pub(crate) fn level_ended(&self, me: usize) -> bool {
        self.barrier.wait();
        if me == 0 {
            let waiting: u64 = self.boards.iter().map(|board| board.waiting.load(Relaxed)).sum();
            let states: u64 = self.boards.iter().map(|board| board.states.load(Relaxed)).sum();
            self.watch();
            let mut outlook = lock(&self.outlook);
            *outlook = (waiting, left(outlook.0, waiting, self.plan.expected.saturating_sub(states)));
            drop(outlook);
            let over = waiting == 0
                || self.halted()
                || self.enough()
                || states >= self.plan.cap
                || self.outdated(states);
            if waiting > 0 {
                self.depth.fetch_add(1, Relaxed);
            }
            self.over.store(over, Relaxed);
        }
        self.barrier.wait();
        self.over.load(Relaxed)
    }

    /// Whether a finding ends the round. A run that collects what is reached goes on: where the first finding stands
    /// depends on the order of exploration.
    fn enough(&self) -> bool {
        let found = lock(&self.found);
        found.last_key_value().is_some_and(|(kind, _)| !self.goes_on() || matches!(kind, Kind::Stop(_)))
    }

    /// Whether a round goes on after a finding.
    fn goes_on(&self) -> bool {
        self.options.collect || self.options.all_findings
    }

    /// Whether a round whose footprints have turned out too small has gone on long enough to find most of the others.
    fn outdated(&self, states: u64) -> bool {
        let world = lock(self.world);
        if !self.plan.partial_order || world.news == 0 {
            return false;
        }
        let first = self.first_news.load(Relaxed);
        if first == 0 {
            self.first_news.store(states, Relaxed);
            return false;
        }
        states > 4 * first + 10_000
    }

    /// All findings, the most important first, and why there may be more.
    pub(crate) fn findings(&self) -> (Vec<Found>, Option<String>) {
        let all = core::mem::take(&mut *lock(&self.found));
        let full = (all.len() == FINDINGS).then(|| format!("no more than {FINDINGS} findings are kept"));
        (all.into_values().collect(), lock(&self.halt).take().or(full))
    }

    /// How the round ended, once all workers have.
    pub(crate) fn end(&self) -> End {
        if let Some(panic) = lock(&self.panic).take() {
            std::panic::resume_unwind(panic);
        }
        if self.restart.load(Relaxed) {
            return End::Again;
        }
        let found = lock(&self.found).first_key_value().map(|(_, found)| found.clone());
        let halt = lock(&self.halt).clone();
        let waiting = self.boards.iter().any(|board| board.waiting.load(Relaxed) > 0);
        match (found, halt) {
            // The round was over before all was visited, for a reason that the next one does not have.
            (Some(found), None) if waiting && self.goes_on() && !matches!(found.kind, Kind::Stop(_)) => {
                return End::Again;
            }
            // What was collected before a limit was met is not all there is.
            (Some(_), Some(reason)) if self.options.collect => return End::Stopped(reason),
            (Some(found), _) => return End::Found(found),
            (None, Some(reason)) => return End::Stopped(reason),
            (None, None) => {}
        }
        if waiting { End::Again } else { End::Complete }
    }
}

impl<'a, 's, S: Scenario> Hub<'a, 's, S> {
    pub(crate) fn new(world: &'a Mutex<World<'s, S>>, options: &'a Options<'a>, plan: Plan) -> Self {
        let scenario = lock(world).scenario;
        let layout = lock(world).layout(options);
        let groups = if plan.symmetry { lock(world).groups() } else { Vec::new() };
        Self {
            world,
            options,
            plan,
            scenario,
            authority: Authority::new(&layout),
            layout,
            groups,
            workers: plan.workers,
            livelock: plan.livelock,
            mail: (0..plan.workers).map(|_| Mutex::default()).collect(),
            barrier: Barrier::new(plan.workers),
            boards: (0..plan.workers).map(|_| Board::default()).collect(),
            restart: AtomicBool::new(false),
            asked: Mutex::default(),
            halt: Mutex::new(None),
            halting: AtomicBool::new(false),
            found: Mutex::default(),
            panic: Mutex::new(None),
            over: AtomicBool::new(false),
            depth: AtomicU32::new(0),
            peak: AtomicU64::new(0),
            first_news: AtomicU64::new(0),
            last_progress: Mutex::new(Instant::now()),
            outlook: Mutex::default(),
        }
    }

    /// A machine for one worker.
    pub(crate) fn machine(&self) -> Machine<'a, 's, S> {
        let mut machine = Machine::new(self.world, self.layout.clone(), self.options);
        machine.partial_order = self.plan.partial_order;
        machine
    }
}

/// Roughly how many states are still to be expanded, of which `waiting` wait, after a level in which `before` did, if
/// `more` than are known were found by an earlier round. Levels that get smaller are taken to go on so, as a geometric
/// series.
fn left(before: u64, waiting: u64, more: u64) -> Option<u64> {
    let shrinking = waiting < before && waiting > 0;
    let series = shrinking.then(|| waiting.saturating_mul(before) / (before - waiting));
    match more {
        0 => series,
        _ => Some(series.unwrap_or(0).max(waiting + more)),
    }
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn what_is_left_is_judged_by_levels_that_get_smaller_and_by_the_round_before() {
        assert_eq!(left(0, 10, 0), None, "still growing");
        assert_eq!(left(100, 50, 0), Some(100), "50 + 25 + 12 + ...");
        assert_eq!(left(100, 99, 0), Some(9_900));
        assert_eq!(left(10, 20, 500), Some(520));
        assert_eq!(left(100, 50, 500), Some(550));
        assert_eq!(left(100, 0, 0), None, "over");
    }
}
