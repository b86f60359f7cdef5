//! Commands and options whose feature is off in this build: each is refused with the feature that has it.
#![allow(dead_code, reason = "each feature takes some of them away")]

use std::process::ExitCode;

use crate::args::Absent;
use crate::failure::Failure;

/// Refuses `what`, as it was typed after the command's name.
pub fn refuse(what: &str) -> Failure {
    Failure::bad_input(
        format!("`{what}` is not in this build; build with `cargo run --release --features full -- {what}`"),
        "to install it: `cargo install --path crates/cli --features full` in a checkout",
    )
}

fn command(name: &str) -> Result<ExitCode, Failure> {
    Err(refuse(name))
}

/// Refuses `shootdown bench`.
///
/// # Errors
/// Always.
pub fn bench(_: &Absent) -> Result<ExitCode, Failure> {
    command("bench")
}

/// Refuses `shootdown boot`.
///
/// # Errors
/// Always.
pub fn boot(_: &Absent) -> Result<ExitCode, Failure> {
    command("boot")
}

/// Refuses `shootdown completions`.
///
/// # Errors
/// Always.
pub fn completions(_: &Absent, _: &[shootdown_cases::bugs::Bug]) -> Result<ExitCode, Failure> {
    command("completions")
}

/// Refuses `shootdown doctor`.
///
/// # Errors
/// Always.
pub fn doctor(_: &Absent) -> Result<ExitCode, Failure> {
    command("doctor")
}

/// Refuses `shootdown man`.
///
/// # Errors
/// Always.
pub fn man(_: &Absent) -> Result<ExitCode, Failure> {
    command("man")
}

/// Refuses `shootdown record-import`.
///
/// # Errors
/// Always.
pub fn record_import(_: &Absent) -> Result<ExitCode, Failure> {
    command("record-import")
}

/// What `explain` draws into files.
#[cfg(not(feature = "pages"))]
pub mod museum {
    use shootdown_cases::bugs::Bug;
    use shootdown_explore::{Report, Trace};
    use shootdown_machine::Case;
    use std::path::Path;
    use std::process::ExitCode;

    use super::refuse;
    use crate::args::ExplainArgs;
    use crate::commands::guide::Guide;
    use crate::failure::Failure;

    /// Refuses what `args` wants to be written, if it wants anything.
    ///
    /// # Errors
    /// It does.
    pub fn can_write(args: &ExplainArgs) -> Result<(), Failure> {
        match (&args.html, &args.svg) {
            (Some(_), _) => Err(refuse("explain --html")),
            (None, Some(_)) => Err(refuse("explain --svg")),
            (None, None) => Ok(()),
        }
    }

    /// Refuses `explain --all`.
    ///
    /// # Errors
    /// Always.
    pub fn all(_: &ExplainArgs, _: &[Bug]) -> Result<ExitCode, Failure> {
        Err(refuse("explain --html"))
    }

    /// Refuses a page.
    ///
    /// # Errors
    /// Always.
    pub fn one(
        _: &Path,
        _: &Guide<'_>,
        _: (&[Bug], &[Case]),
        _: (&Case, &Report),
        _: Option<&str>,
    ) -> Result<(), Failure> {
        Err(refuse("explain --html"))
    }

    /// Refuses a picture.
    ///
    /// # Errors
    /// Always.
    pub fn picture(_: &Path, _: &Case, _: Option<&Trace>) -> Result<bool, Failure> {
        Err(refuse("explain --svg"))
    }
}

/// What `replay` is given.
#[cfg(not(feature = "bench"))]
pub mod replay_input {
    use std::path::Path;

    use super::refuse;
    use crate::commands::replay::TRACE_MAGIC;
    use crate::failure::Failure;
    use crate::files;

    /// There is none in this build.
    #[derive(Debug)]
    pub enum Trace {}

    /// A list of moves.
    #[derive(Debug)]
    pub enum Input {
        /// The text of a list of moves.
        Moves(String),
        /// A trace.
        Trace(Trace),
    }

    impl Input {
        /// Opens what `path` names; `-` is standard input.
        ///
        /// # Errors
        /// It begins as a trace, or is no list.
        pub fn open(path: &Path) -> Result<Self, Failure> {
            let bytes = files::bytes(path);
            if bytes.as_ref().is_ok_and(|bytes| bytes.starts_with(&TRACE_MAGIC)) {
                return Err(refuse(&format!("replay {}", path.display())));
            }
            bytes.and_then(files::text).map(Self::Moves).map_err(|error| {
                Failure::bad_input(
                    format!("cannot read {}: {error}", path.display()),
                    "`shootdown explain NAME --text` writes such a list; `-` reads standard input",
                )
            })
        }
    }
}

/// `replay` of recorded traces.
#[cfg(not(feature = "bench"))]
pub mod replay_trace {
    use std::process::ExitCode;

    use super::replay_input::Trace;
    use crate::args::ReplayArgs;
    use crate::failure::Failure;

    /// There is no trace to replay.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn replay(_: &ReplayArgs, trace: &Trace) -> Result<ExitCode, Failure> {
        match *trace {}
    }
}
