//! What people get to see: verdicts, and executions move by move.

pub(crate) mod snapshot;
pub(crate) mod trace;

use crate::machine::moves::Move;
use crate::machine::survey::Survey;
use crate::machine::violation::{Broken, Violation};
use crate::report::snapshot::Snapshot;
use crate::search::reached::Reached;
use std::panic::Location;
use std::time::Duration;

/// What an exploration found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The outcome.
    pub verdict: Verdict,
    /// States stored in the final round. This and the other counts, but for `executions` and bytes, are the same for
    /// any number of workers, unless a limit ends the run in the middle; explorations before it in one process may
    /// change them by a hundredth.
    pub states: u64,
    /// Transitions taken in the final round.
    pub transitions: u64,
    /// Executions of the code under check, all rounds: fewer where a worker has a run at hand that can go on.
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
    /// What the code was seen to do, if [`crate::Options::survey`] asks for it.
    pub survey: Survey,
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
    /// A verdict that was reached without visiting a state.
    pub fn without_states(verdict: Verdict) -> Self {
        Self {
            verdict,
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
            survey: Survey::default(),
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
    /// An execution breaks a rule of the device, of memory that was given back, or of the code's own
    /// ([`crate::sync::demand`]).
    Violates(Broken),
    /// The code under check panics in some execution.
    Panics(String),
    /// The code under check asks for what the machine does not have, or breaks the rules for such code.
    Misuses(String),
    /// A state from which no CPU can go on though some have not finished.
    Deadlock(String),
    /// A state from which CPUs go on for ever and can never finish.
    Livelock(String),
    /// Only some executions were to be visited, and none of them breaks a rule: which. The others may.
    Unproved(String),
    /// Not every execution was visited: why.
    Stopped(String),
}

impl Verdict {
    /// Whether some execution was found to go wrong.
    pub fn is_finding(&self) -> bool {
        !matches!(self, Self::Holds | Self::Unproved(_) | Self::Stopped(_))
    }

    /// Its kind in a word: `holds`, `violates`, `panics`, `misuses`, `deadlock`, `livelock`, `unproved` or `stopped`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violates(_) => "violates",
            Self::Panics(_) => "panics",
            Self::Misuses(_) => "misuses",
            Self::Deadlock(_) => "deadlock",
            Self::Livelock(_) => "livelock",
            Self::Unproved(_) => "unproved",
            Self::Stopped(_) => "stopped",
        }
    }

    /// What it says beyond its kind.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Holds => None,
            Self::Violates(broken) => Some(&broken.words),
            Self::Panics(words)
            | Self::Misuses(words)
            | Self::Deadlock(words)
            | Self::Livelock(words)
            | Self::Unproved(words)
            | Self::Stopped(words) => Some(words),
        }
    }
}

impl From<Violation> for Verdict {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Misuse(words) => Self::Misuses(words),
            Violation::Panic(words) => Self::Panics(words),
            Violation::Rule(broken) => Self::Violates(broken),
        }
    }
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
