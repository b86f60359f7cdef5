use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Exit code when everything came out as expected.
pub const AS_EXPECTED: u8 = 0;
/// Exit code when something did not.
pub const NOT_AS_EXPECTED: u8 = 1;
/// Exit code for input that cannot be used.
pub const BAD_INPUT: u8 = 2;
/// Exit code when nothing unexpected was found, in a run that was not to visit every execution.
pub const UNPROVED: u8 = 3;
/// Exit code after Ctrl-C, as shells have it.
pub const INTERRUPTED: u8 = 130;
/// Exit code when the reader of our output went away, as shells have it.
const READER_GONE: u8 = 141;

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The input cannot be used.
    BadInput(BadInput),
    /// Output could not be written.
    Output(io::Error),
}

/// Input that cannot be used, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct BadInput {
    /// The fault; contains the value.
    pub what: String,
    /// Values that may have been meant, best first.
    pub near: Vec<String>,
    /// What to do instead.
    pub remedy: String,
}

impl Failure {
    /// Builds a [`Failure::BadInput`] without near matches.
    pub fn bad_input(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::BadInput(BadInput { what: what.into(), near: Vec::new(), remedy: remedy.into() })
    }

    /// Adds to the remedy that only the engine has anything to remove, where something is removed.
    #[must_use]
    pub fn with_removed(mut self, removed: Option<&str>) -> Self {
        if let (Self::BadInput(bad), Some(removed)) = (&mut self, removed) {
            bad.remedy += &format!(" (with {removed} removed, the engine's cases only)");
        }
        self
    }

    /// Prints the failure on stderr and returns the exit code for it.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(READER_GONE),
            other => {
                let red = anstyle::AnsiColor::Red.on_default().bold();
                tell(format_args!("{red}error:{red:#} {other}"));
                ExitCode::from(BAD_INPUT)
            }
        }
    }
}

/// Prints a line on standard error. Where nobody reads that any more there is nobody to tell, and the exit code says
/// the rest.
pub fn tell(line: impl fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => {
                write!(f, "cannot write the output: {error}\n  make room for it, or send it elsewhere")
            }
            Self::BadInput(bad) => {
                write!(f, "{}", bad.what)?;
                if !bad.near.is_empty() {
                    write!(f, "\n  did you mean: {}", bad.near.join(", "))?;
                }
                write!(f, "\n  {}", bad.remedy)
            }
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
