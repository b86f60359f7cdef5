//! Counts what the engine's operations cost: the instructions between entry and return, on a platform whose primitives
//! are empty, as callgrind sees them.
//!
//! The same program gives the same numbers on every run; another compiler gives others, and so does another
//! architecture. The aims are for x86-64. A full fence and a locked read-modify-write count one each, like any other
//! instruction, so a count says nothing about time across CPUs; it says what the engine adds to the primitives.

mod callgrind;
mod coherent;
mod host;
mod operations;
#[cfg(all(test, unix))]
mod shared_lines;
mod table;
mod workload;

use anyhow::{Context, Result};
use std::process::ExitCode;

pub use workload::run as run_workload;

/// Prints what the engine's operations cost in instructions, next to their aims.
///
/// # Errors
/// They cannot be counted.
pub fn report(json: bool) -> Result<ExitCode> {
    let program = std::env::current_exe().context("this program has no path")?;
    let table = callgrind::measure(&program, &["counts", "--workload"])?;
    if json {
        println!("{}", serde_json::to_string_pretty(&table)?);
    } else {
        print!("{table}");
    }
    Ok(if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
