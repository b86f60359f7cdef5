//! The one entry for people: `cargo xtask ci` is what `./test` and continuous integration run.

mod bad_input;
mod ci;
mod files;
mod measure;
mod mutants;
mod mutate;
mod mutate_bugs;
mod mutate_weak;
mod package;
mod process;
mod tidy;
mod toolchain;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::bad_input::BadInput;
use crate::measure::{Differing, Functions, Look};

/// Runs what the project is checked with.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all steps, or the named ones, and stop at the first that fails
    Ci {
        /// Steps, in the order in which to run them
        #[arg(value_enum)]
        steps: Vec<ci::Step>,
        /// Run what finds most in a few minutes
        #[arg(long, conflicts_with = "steps")]
        quick: bool,
    },
    /// Render the book to target/book
    Book {
        /// Have the book and the README show what their commands print now
        #[arg(long)]
        accept: bool,
    },
    /// Read the sources for what compilers do not look at
    Tidy,
    /// Disassemble the arch crates and compare with the committed listings
    Arch {
        /// Take the listings as they are now
        #[arg(long)]
        accept: bool,
    },
    /// Weigh the engine's machine code, built for size
    Size {
        /// Print each function
        #[arg(long)]
        functions: bool,
    },
    /// Look for ways to a panic in the engine's machine code
    Panics,
    /// Measure the stack of the engine's operations
    Stack,
    /// Count the engine's instructions and hold them against their aims
    Counts {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Weaken each named ordering of the engine and see that a checker notices
    Mutate {
        /// Cases of `shootdown check` to run; default: group `two`, and under weak memory the case that INVARIANTS.md names for each
        cases: Vec<String>,
        /// Memory model of the explorer, whose findings alone count then; default: tso, pso, and loom beside them
        #[arg(long, value_parser = ["sc", "tso", "pso", "weak"])]
        memory: Option<String>,
    },
    /// Put the other variant's protocol into each bug case and see that `check` notices
    MutateBugs,
    /// Put small mistakes into the engine or the explorer, one at a time, and see that somebody notices
    Mutants {
        /// Mutants, or source files (`flush.rs`) whose mutants are meant; default: all
        names: Vec<String>,
        /// What the mistakes are put into
        #[arg(long, value_enum, default_value_t)]
        of: mutants::Mutated,
        /// Run only the catcher that is recorded for each
        #[arg(long)]
        quick: bool,
        /// Name them and run nothing
        #[arg(long)]
        list: bool,
        /// Leave out cases that take more seconds than this without a mutant
        #[arg(long, value_name = "SECONDS", conflicts_with = "quick")]
        at_most: Option<u64>,
        /// Try this checker only
        #[arg(long, value_enum, conflicts_with = "quick")]
        checker: Option<mutants::Checker>,
        /// Write into the set who catches each
        #[arg(long, conflicts_with = "quick")]
        record: bool,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            match error.downcast_ref::<BadInput>() {
                Some(_) => ExitCode::from(BadInput::CODE),
                None => ExitCode::FAILURE,
            }
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let root = root()?;
    match &cli.command {
        Command::Ci { steps, quick: false } => ci::run(&root, steps, ci::Pace::Whole),
        Command::Ci { steps, quick: true } => ci::run(&root, steps, ci::Pace::Quick),
        Command::Book { accept: false } => ci::render_book(&root),
        Command::Book { accept: true } => ci::look_at_book(&root, Differing::IsTaken)
            .map(|seen| println!("book: {seen}; look at the difference")),
        Command::Arch { accept } => {
            let differing = if *accept { Differing::IsTaken } else { Differing::Fails };
            measure::run(&root, Look::Arch(differing)).map(|seen| println!("arch: {seen}"))
        }
        Command::Counts { json } => {
            let mut command = measure::counts(&root);
            command.args(json.then_some("--json"));
            let status = command.status().context("cannot start cargo")?;
            process::check(&command, status)
        }
        Command::Size { functions } => {
            let functions = if *functions { Functions::Listed } else { Functions::Summed };
            told(measure::run(&root, Look::Size(functions)))
        }
        Command::Panics => told(measure::run(&root, Look::Panics)),
        Command::Stack => told(measure::run(&root, Look::Stack)),
        Command::Mutate { cases, memory } if memory.as_deref() == Some("weak") && cases.is_empty() => {
            told(mutate_weak::run(&root))
        }
        Command::Mutate { cases, memory } => told(mutate::run(&root, cases, memory.as_deref())),
        Command::MutateBugs => told(mutate_bugs::run(&root)),
        Command::Mutants { names, of, quick, list, at_most, checker, record } => {
            let wanted = mutants::Wanted {
                of: *of,
                names,
                quick: *quick,
                list: *list,
                at_most: *at_most,
                checker: *checker,
                record: *record,
            };
            let seen = mutants::run(&root, &wanted)?;
            if !list {
                println!("{seen}");
            }
            Ok(())
        }
        Command::Tidy => tidy::run(&root).map(|files| println!("tidy: {files} files read, nothing to mend")),
    }
}

fn told(seen: Result<String>) -> Result<()> {
    seen.map(|seen| println!("{seen}"))
}

/// Returns the folder of the workspace.
fn root() -> Result<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.map(Path::to_path_buf).context("xtask lies in a folder of the workspace")
}
