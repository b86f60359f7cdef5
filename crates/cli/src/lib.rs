//! The command `shootdown`: checks the engine and a collection of bugs on simulated machines, and shows what goes wrong.
//!
//! A bug collection of your own gets the same command: its `main` is one call of [`main_with`]. `shootdown new-case NAME`
//! writes a first bug to start from; `examples/own-case` is a whole package.

mod args;
mod catalogue;
mod commands;
mod draw;
mod examples;
mod failure;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod interrupt;
#[cfg(feature = "pages")]
mod museum;
mod names;
mod output;
mod progress;
mod promises;
mod record;
#[cfg(any(feature = "bench", feature = "pages"))]
mod replace;
mod replay_file;
mod resume;
mod select;
mod shard;
#[cfg(test)]
mod testing;
mod threads;
mod truth;
mod typed;

use args::{Cli, Command};
use clap::{CommandFactory as _, FromArgMatches as _};
use failure::Failure;
use shootdown_cases::bugs::Bug;
use std::process::ExitCode;

/// Runs the command line of this process on the engine and `bugs`, and returns the exit code: 0 all as expected, 1 not,
/// 2 input that cannot be used, 3 nothing found where not all executions were to be visited, 130 after Ctrl-C, 141 when the reader of the output went away.
pub fn main_with(bugs: &[Bug]) -> ExitCode {
    shootdown_machine::watchdog::tell_of_threads();
    let command = match parsed() {
        Ok(cli) => cli.command,
        Err(error) => return refused(&error),
    };
    if runs_the_engine(command.as_ref()) {
        if let Err(failure) = truth::compare() {
            return failure.report();
        }
    }
    let result = match command {
        None => commands::welcome(bugs),
        Some(Command::Check(args)) => commands::check(&args, bugs),
        Some(Command::Merge(args)) => commands::merge(&args, bugs),
        Some(Command::Explain(args)) => commands::explain(&args, bugs),
        Some(Command::Replay(args)) => commands::replay(&args, bugs),
        Some(Command::Doctor(args)) => commands::doctor(&args),
        Some(Command::Boot(args)) => commands::boot(&args),
        Some(Command::RecordImport(args)) => commands::record_import(&args),
        Some(Command::Bench(args)) => commands::bench(&args),
        Some(Command::NewCase(args)) => commands::new_case(&args),
        Some(Command::Completions(args)) => commands::completions(&args, bugs),
        Some(Command::Man(args)) => commands::man(&args),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// Reads the command line. Help that no terminal shows is as wide as everything else is there.
fn parsed() -> Result<Cli, clap::Error> {
    let command = Cli::command();
    let mut command = match output::terminal_width() {
        None => command.term_width(output::width()),
        Some(_) => command,
    };
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Prints what the parser of the command line has to say: help, or what is wrong.
fn refused(error: &clap::Error) -> ExitCode {
    match (error.print(), error.use_stderr()) {
        (_, true) => ExitCode::from(failure::BAD_INPUT),
        (Ok(()), false) => ExitCode::SUCCESS,
        (Err(error), false) => Failure::Output(error).report(),
    }
}

/// Whether what the command says is about the engine that was compiled into this program.
fn runs_the_engine(command: Option<&Command>) -> bool {
    match command {
        None => true,
        Some(Command::Check(_) | Command::Explain(_) | Command::Replay(_)) => true,
        Some(Command::Doctor(_) | Command::Bench(_)) => true,
        // The kernel is built from its source when it boots.
        Some(Command::Boot(_)) => false,
        Some(Command::Merge(_) | Command::RecordImport(_) | Command::NewCase(_)) => false,
        Some(Command::Completions(_) | Command::Man(_)) => false,
    }
}
