use crate::code::mutation::Mutation;
use core::sync::atomic::AtomicBool;
use std::time::Duration;

/// Memory model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Memory {
    /// Sequential consistency.
    Sc,
    /// Total store order: one FIFO store buffer per CPU (x86, SPARC TSO).
    Tso,
    /// Partial store order: a FIFO per CPU and location; release stores and fences order.
    Pso,
    /// RC11 without load buffering: loads may read old stores, and an access orders others only as its ordering says.
    Weak,
}

impl Memory {
    /// All of them, the strongest first.
    pub const ALL: [Self; 4] = [Self::Sc, Self::Tso, Self::Pso, Self::Weak];

    /// Its name in a word: `sc`, `tso`, `pso` or `weak`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sc => "sc",
            Self::Tso => "tso",
            Self::Pso => "pso",
            Self::Weak => "weak",
        }
    }
}

/// Which reductions are on. Each is argued where it is implemented.
#[derive(Clone, Copy, Debug)]
pub struct Reductions {
    /// Steps that commute with all that others can still do run at once.
    pub partial_order: bool,
    /// Interchangeable CPUs are sorted.
    pub symmetry: bool,
    /// Frames whose stacks hold the same go on as one, whatever they have seen before.
    pub merge: bool,
}

/// Limits and switches of an exploration.
#[derive(Clone)]
pub struct Options<'a> {
    /// Memory model.
    pub memory: Memory,
    /// Reductions.
    pub reductions: Reductions,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// The most interrupt frames on one CPU.
    pub nesting: u8,
    /// Stop after this many stored states.
    pub max_states: u64,
    /// Stop when states and tables take this many bytes.
    pub max_bytes: u64,
    /// Stop after this long.
    pub deadline: Option<Duration>,
    /// Stop when set (Ctrl-C).
    pub stop: Option<&'a AtomicBool>,
    /// Called about every 0.1 s.
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
    /// After a round of more states than this, later rounds tolerate steps that were found late, as long as what was
    /// learned about the frames before covers them. Such a round is as complete, but how many states it stores depends
    /// on the order in which code was run.
    pub lenient_above: u64,
    /// Collect the reached local and final states (for comparing runs). Such a run does not end at the first finding.
    pub collect: bool,
    /// Go on after a finding, and list each one once, with a trace of its own ([`crate::Report::findings`]). An
    /// execution ends with its first finding; livelocks are searched for only if there is no other finding.
    pub all_findings: bool,
    /// Visit only executions in which CPUs take at most this many turns (contexts). A turn is what one CPU does, its
    /// store buffer and its handlers included, until another CPU moves. This proves nothing.
    pub contexts: Option<u16>,
    /// Run this many random executions instead of visiting all. This proves nothing.
    pub random: Option<Sampling>,
    /// Look for the shortest trace by a second, unreduced search after a violation.
    pub shortest: bool,
    /// Record the parts of the machine before and after each step of the trace. This does not affect the exploration.
    pub snapshots: bool,
    /// Collect what the code does, and where, for [`crate::Report::survey`].
    pub survey: bool,
    /// A mistake to put into the code.
    pub mutation: Option<Mutation>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            memory: Memory::Tso,
            reductions: Reductions { partial_order: true, symmetry: true, merge: true },
            workers: 2,
            nesting: 2,
            max_states: 200_000_000,
            max_bytes: 4 << 30,
            deadline: None,
            stop: None,
            progress: None,
            lenient_above: 400_000,
            collect: false,
            all_findings: false,
            contexts: None,
            random: None,
            shortest: true,
            snapshots: false,
            survey: false,
            mutation: None,
        }
    }
}

/// Random executions. The same numbers give the same executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// How many.
    pub runs: u64,
    /// The seed of the random numbers.
    pub seed: u64,
}

/// Progress of an exploration.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// States stored.
    pub states: u64,
    /// States stored and not yet expanded.
    pub frontier: u64,
    /// Length of the longest path so far, in stored steps.
    pub depth: u32,
    /// Which round (footprints are learned in the first ones).
    pub round: u32,
    /// A rough number of states that are still to be expanded in this round, if levels get smaller or an earlier round
    /// was as large. In a random search, the number of executions that are still to run.
    pub left: Option<u64>,
}
