//! The words that the command line, JSON and replay files use for what the checker's types say.

use shootdown_explore::{Memory, Verdict};
use shootdown_machine::{Expected, Kind};

/// Memory model of a name.
pub fn parse_memory(name: &str) -> Option<Memory> {
    Memory::ALL.into_iter().find(|memory| memory.name() == name)
}

/// What a suspect is, as opposed to a published bug.
pub const SUSPECT: &str = "model of the code as read, unconfirmed";

/// Name of a kind of case.
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Engine => "engine",
        Kind::Bug => "bug",
        Kind::Suspect => "suspect",
    }
}

/// Group that all cases of a kind are in.
pub fn group(of: Kind) -> &'static str {
    match of {
        Kind::Bug => "bugs",
        Kind::Engine | Kind::Suspect => kind(of),
    }
}

/// Name of an expected outcome.
pub fn expected(expected: Expected) -> &'static str {
    match expected {
        Expected::Holds => "holds",
        Expected::Violates => "violates",
    }
}

/// Outcome of a name.
pub fn parse_verdict(name: &str) -> Option<Verdict> {
    let none = String::new;
    [
        Verdict::Holds,
        Verdict::Violates(none().into()),
        Verdict::Panics(none()),
        Verdict::Misuses(none()),
        Verdict::Deadlock(none()),
        Verdict::Livelock(none()),
        Verdict::Unproved(none()),
        Verdict::Stopped(none()),
    ]
    .into_iter()
    .find(|known| known.name() == name)
}
