use crate::machine::Machine;
use shootdown_explore::{Memory, Move, Options, Report, Scenario, Trace, explore, replay};

/// One thing to check: a scenario by name, and what is expected of it.
pub struct Case {
    /// Name, unique; what `shootdown check NAME` takes.
    pub name: String,
    /// The engine, or a protocol of a bug.
    pub kind: Kind,
    /// Which variant of the protocol.
    pub variant: Variant,
    /// What must come out.
    pub expected: Expected,
    /// Memory model of the default check.
    pub memory: Memory,
    /// CPUs of the machine.
    pub cpus: usize,
    /// Whether only `check --deep` runs it.
    pub deep: bool,
    /// Groups for `check GROUP`: `pairs`, `tags`, `bugs`, ...
    pub groups: &'static [&'static str],
    /// One sentence: what it shows.
    pub about: String,
    /// A page of prose for `explain`.
    pub story: &'static str,
    /// Runs it.
    pub run: Box<dyn Fn(&Options<'_>) -> Report + Send + Sync>,
    /// Replays moves on it; the error names the first impossible move.
    pub replay: ReplayFn,
}

/// A protocol on the machine, whatever its type: the explorer is compiled once for all of them.
pub type Model = Box<dyn Scenario<Device = Machine> + Send>;

/// Visits every execution of `model`.
pub fn run(model: &Model, options: &Options<'_>) -> Report {
    explore(model, options)
}

/// Runs exactly `moves`.
///
/// # Errors
/// The index of the first move that the machine cannot make, and why.
pub fn run_again(model: &Model, options: &Options<'_>, moves: &[Move]) -> Result<Trace, (usize, String)> {
    replay(model, options, moves)
}

/// See [`Case::replay`].
pub type ReplayFn = Box<dyn Fn(&Options<'_>, &[Move]) -> Result<Trace, (usize, String)> + Send + Sync>;

/// What a case checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The shipped engine.
    Engine,
    /// A protocol with a bug, broken or fixed.
    Bug,
    /// A protocol as read in a current kernel, which looks wrong and is not confirmed to be.
    Suspect,
}

/// Variant of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The engine as it ships.
    Shipped,
    /// A historical protocol as it was.
    Broken,
    /// The same as it was mended.
    Fixed,
}

/// Expected outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No execution breaks a rule.
    Holds,
    /// Some execution does (a deadlock or livelock counts).
    Violates,
}
