//! The command `shootdown`: checks the engine and a collection of bugs on simulated machines, and shows what goes
//! wrong.
//!
//! A bug collection of your own gets the same command: its `main` is one call of [`main_with`]. `shootdown new-case
//! NAME` writes a first bug to start from; `examples/own-case` is a whole package.

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
#[cfg(feature = "full")]
mod museum;
mod names;
mod output;
mod progress;
mod promises;
mod record;
#[cfg(feature = "full")]
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
/// 2 input that cannot be used, 3 nothing found where not all executions were to be visited, 130 after Ctrl-C, 141 when
/// the reader of the output went away.
pub fn main_with(bugs: &[Bug]) -> ExitCode {
    shootdown_machine::watchdog::tell_of_threads();
    let (command, _name) = match parsed() {
        Ok((cli, name)) => (cli.command, name),
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
        Some(Command::NewCase(args)) => commands::new_case(&args),
        #[cfg(not(feature = "full"))]
        Some(_) => Err(commands::refuse(&_name)),
        #[cfg(feature = "full")]
        Some(Command::Doctor(args)) => commands::doctor(&args),
        #[cfg(feature = "full")]
        Some(Command::Boot(args)) => commands::boot(&args),
        #[cfg(feature = "full")]
        Some(Command::RecordImport(args)) => commands::record_import(&args),
        #[cfg(feature = "full")]
        Some(Command::Bench(args)) => commands::bench(&args),
        #[cfg(feature = "full")]
        Some(Command::Completions(args)) => commands::completions(&args, bugs),
        #[cfg(feature = "full")]
        Some(Command::Man(args)) => commands::man(&args),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// Reads the command line, and the name of the command in it. Help that no terminal shows is as wide as everything else
/// is there.
fn parsed() -> Result<(Cli, String), clap::Error> {
    let command = Cli::command();
    let mut command = match output::terminal_width() {
        None => command.term_width(output::width()),
        Some(_) => command,
    };
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let name = matches.subcommand_name().unwrap_or_default().to_owned();
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    Ok((cli, name))
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
