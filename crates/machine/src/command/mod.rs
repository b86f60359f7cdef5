//! The command of a package of sketches: `check` visits every execution, `explain` draws the one that fails, `new-case`
//! writes a first sketch.

mod args;
mod check;
mod explain;
mod new_case;
mod page;

use crate::sketch::Sketch;
use crate::watchdog;
use args::{Args, Command};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

const AS_EXPECTED: u8 = 0;
const NOT_AS_EXPECTED: u8 = 1;
const BAD_INPUT: u8 = 2;
/// When the reader of the output went away, as shells have it.
const READER_GONE: u8 = 141;

/// Why a command could not do its work.
enum Failure {
    /// The input cannot be used: why, and what to do instead.
    Input(String),
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Runs the command line of this process on `sketches`, and returns the exit code: 0 all as expected, 1 not, 2 input
/// that cannot be used, 141 when the reader of the output went away. A package's `main` is one call of it:
///
/// ```no_run
/// use shootdown_model::{Machine, Sketch, Program, main_with};
///
/// #[derive(Debug)]
/// struct Toy(Machine);
///
/// impl Program for Toy {
///     fn main(&self, cpu: usize) {
///         // What this CPU does.
///     }
/// }
///
/// const TOY: Sketch = Sketch::new("toy-munmap", &[("main.rs", "...")], |_| Machine::builder(2).runs(Toy));
///
/// fn main() -> std::process::ExitCode {
///     main_with(&[TOY])
/// }
/// ```
pub fn main_with(sketches: &[Sketch]) -> ExitCode {
    watchdog::tell_of_threads();
    let result = Args::of_process().and_then(|args| {
        // Not locked: a model that prints does so on a thread of the explorer's, which would wait for ever.
        let mut out = io::stdout();
        match args.command {
            Command::Help => Ok(writeln!(out, "{}", args::HELP).map(|()| AS_EXPECTED)?),
            Command::Check => check::check(&args, sketches, &mut out),
            Command::Explain => explain::explain(&args, sketches, &mut out),
            Command::NewCase => new_case::new_case(&args, &mut out),
        }
    });
    ExitCode::from(result.unwrap_or_else(|failure| match failure {
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => READER_GONE,
        Failure::Output(error) => told(&format!("cannot write the output: {error}")),
        Failure::Input(what) => told(&what),
    }))
}

/// Says on standard error why nothing was done. Where nobody reads that the exit code says the rest.
fn told(what: &str) -> u8 {
    let _ = writeln!(io::stderr(), "error: {what}");
    BAD_INPUT
}

/// Those of `sketches` that are named, or all.
fn chosen<'s>(names: &[String], sketches: &'s [Sketch]) -> Result<Vec<&'s Sketch>, Failure> {
    let family = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    for name in names {
        if !sketches.iter().any(|sketch| sketch.name == family(name)) {
            let all: Vec<&str> = sketches.iter().map(|sketch| sketch.name).collect();
            return Err(Failure::Input(format!("there is no model {name:?}; there are: {}", all.join(", "))));
        }
    }
    let wanted = |sketch: &&Sketch| names.is_empty() || names.iter().any(|name| family(name) == sketch.name);
    let chosen: Vec<&Sketch> = sketches.iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Err(Failure::Input("there is no model: name one in the call of `main_with`".to_owned()));
    }
    Ok(chosen)
}

/// A number of things.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Characters in a line of the output.
fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(80).max(40)
}

fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
