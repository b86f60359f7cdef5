//! What `cargo xtask arch`, `size`, `panics`, `stack` and `counts` run. The first four read libraries that were built
//! of `measured/` for bare metal; the last runs a workload in this program.
//!
//! A static library holds all that the operations can come to, the core library included. [`program`] makes a graph of
//! it, whose edges are the relocations: every reference to a function counts as a call, and what a constant refers to
//! (a table of functions) counts as called by each function that refers to the constant. Calls through a pointer that
//! the embedder hands in are the embedder's. So the graph holds every call that there can be, and may hold more.
//!
//! Listings are Capstone's. It is built from its own C source, which `cargo xtask` alone does not build: programs of
//! the system write the same code differently from release to release, and a fresh Debian has none for foreign
//! architectures. What Capstone does not know is decoded here. `measured/` has each sequence of the arch crates and
//! each operation of the engine as a function with a symbol, and a platform made of each arch crate.

mod bound;
mod built;
mod counts;
mod disassembler;
mod fallback;
mod known;
mod listing;
mod panics;
mod program;
mod reach;
mod size;
mod stack;

use anyhow::Result;
use clap::Parser;
use std::path::Path;
use std::process::ExitCode;

use crate::built::Built;

/// Measure machine code
#[derive(Debug, Parser)]
#[command(name = "measure")]
enum Look {
    /// Disassemble instruction sequences and compare them with the committed listings
    Arch {
        /// Take the listings as they are now
        #[arg(long)]
        accept: bool,
        #[command(flatten)]
        libraries: Libraries,
    },
    /// Weigh the engine's machine code
    Size {
        /// Print each function
        #[arg(long)]
        functions: bool,
        #[command(flatten)]
        libraries: Libraries,
    },
    /// Look for ways to a panic
    Panics {
        #[command(flatten)]
        libraries: Libraries,
    },
    /// Measure the stack of the engine's operations
    Stack {
        #[command(flatten)]
        libraries: Libraries,
    },
    /// Count the engine's instructions under callgrind; exit with 1 where an aim is missed without an exception
    Counts {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Run the operations and measure nothing: what callgrind is started on
        #[arg(long, hide = true)]
        workload: bool,
    },
}

/// Libraries that were built to be looked at.
#[derive(Debug, clap::Args)]
struct Libraries {
    /// Each as ARCHITECTURE/PROFILE=FILE
    #[arg(required = true)]
    libraries: Vec<String>,
}

impl Libraries {
    fn read(&self) -> Result<Vec<Built>> {
        self.libraries.iter().map(|named| Built::read(named)).collect()
    }
}

fn main() -> ExitCode {
    match run(&Look::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("measure: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(look: &Look) -> Result<ExitCode> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.join("..");
    match look {
        Look::Arch { accept, libraries } => {
            let arch = root.join("crates/arch");
            listing::report(&libraries.read()?, &arch, &package.join("listings"), *accept)?;
        }
        Look::Size { functions, libraries } => size::report(&libraries.read()?, *functions)?,
        Look::Panics { libraries } => {
            panics::report(&libraries.read()?, &root, include_str!("../panics.txt"))?;
        }
        Look::Stack { libraries } => stack::report(&libraries.read()?)?,
        Look::Counts { workload: true, .. } => counts::run_workload(),
        Look::Counts { json, .. } => return counts::report(*json),
    }
    Ok(ExitCode::SUCCESS)
}
