//! `shootdown-counts`: prints what the engine's operations cost in instructions, next to their aims.

use anyhow::{Context, Result};
use clap::Parser;
use shootdown_counts::{measure, workload};
use std::process::ExitCode;

/// Count the engine's instructions under callgrind; exit with 1 where an aim is missed without an exception
#[derive(Debug, Parser)]
#[command(name = "shootdown-counts")]
struct Cli {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Run the operations and measure nothing: what callgrind is started on
    #[arg(long, hide = true)]
    workload: bool,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if cli.workload {
        workload::run();
        return Ok(ExitCode::SUCCESS);
    }
    let table = measure(&std::env::current_exe().context("this program has no path")?, &["--workload"])?;
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&table)?);
    } else {
        print!("{table}");
    }
    Ok(if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
