//! What people get to see: verdicts, and executions move by move.

pub(crate) mod snapshot;
pub(crate) mod trace;

use crate::machine::moves::Move;
use crate::report::snapshot::Snapshot;
use crate::search::reached::Reached;
use std::panic::Location;
use std::time::Duration;

/// What an exploration found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The outcome.
    pub verdict: Verdict,
    /// States stored in the final round.
    pub states: u64,
    /// Transitions taken in the final round.
    pub transitions: u64,
    /// Executions of the code under check, all rounds.
    pub executions: u64,
    /// Nodes of the trie: distinct (entry point, values seen).
    pub nodes: u64,
    /// Rounds run (the last one had complete footprints).
    pub rounds: u32,
    /// Time of all rounds.
    pub elapsed: Duration,
    /// Time of the final round.
    pub final_round: Duration,
    /// Most bytes that states and tables took.
    pub peak_bytes: u64,
    /// Longest path in stored steps.
    pub depth: u32,
    /// The failing execution, where there is one.
    pub trace: Option<Trace>,
    /// Local and final states reached, if asked for.
    pub reached: Option<Reached>,
    /// All findings, if asked for, the worst first; the first is the verdict.
    pub findings: Vec<Finding>,
    /// Why there may be more findings than those.
    pub cut: Option<String>,
}

/// One of several findings of a run.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was found.
    pub verdict: Verdict,
    /// An execution that comes to it, the shortest known.
    pub trace: Option<Trace>,
}

impl Report {
    /// Makes a report of nothing but why nothing was visited.
    pub fn stopped(reason: String) -> Self {
        Self {
            verdict: Verdict::Stopped(reason),
            states: 0,
            transitions: 0,
            executions: 0,
            nodes: 0,
            rounds: 0,
            elapsed: Duration::ZERO,
            final_round: Duration::ZERO,
            peak_bytes: 0,
            depth: 0,
            trace: None,
            reached: None,
            findings: Vec::new(),
            cut: None,
        }
    }

    /// Whether every execution was visited, or one that breaks a rule was found.
    pub fn complete(&self) -> bool {
        !matches!(self.verdict, Verdict::Stopped(_) | Verdict::Unproved(_))
    }
}

/// Outcome of an exploration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every execution was visited and none breaks a rule.
    Holds,
    /// An execution breaks a rule: which one, in a sentence.
    Violates(String),
    /// A state from which no CPU can go on though some have not finished.
    Deadlock(String),
    /// A state from which CPUs go on for ever and can never finish.
    Livelock(String),
    /// Only some executions were to be visited, and none of them breaks a rule: which. The others may.
    Unproved(String),
    /// Not every execution was visited: why.
    Stopped(String),
}

/// An execution, move by move.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// The machine at power-on and after each step, if [`crate::Options::snapshots`] asks for it.
    pub snapshots: Vec<Snapshot>,
    /// What went wrong at its end (empty for a replay that ends well).
    pub outcome: String,
}

/// One step of a trace, with words for people.
#[derive(Clone, Debug)]
pub struct Step {
    /// The move.
    pub mov: Move,
    /// What it did: `A.mask |= 0x2 (was 0x1)`.
    pub text: String,
    /// Heading in force on that CPU (`sync::note`).
    pub note: &'static str,
    /// Where in the code under check.
    pub place: Option<&'static Location<'static>>,
    /// 0 in main code, 1 in a handler, 2 in a handler's handler.
    pub depth: u8,
    /// The device's state after the step, in words.
    pub state: Vec<String>,
}
