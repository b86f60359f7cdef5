//! The command `shootdown`: checks the engine and the corpus on simulated machines, and shows what goes wrong.

mod args;
mod catalogue;
mod commands;
mod draw;
mod failure;
mod interrupt;
mod museum;
mod names;
mod output;
mod progress;
mod record;
mod replay_file;
mod select;
#[cfg(test)]
mod testing;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        None => commands::welcome(),
        Some(Command::Check(args)) => commands::check(&args),
        Some(Command::Explain(args)) => commands::explain(&args),
        Some(Command::Replay(args)) => commands::replay(&args),
        Some(Command::Bench(args)) => commands::bench(&args),
    };
    result.unwrap_or_else(|failure| failure.report())
}
