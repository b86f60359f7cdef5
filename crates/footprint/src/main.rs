//! What `cargo xtask size`, `panics` and `stack` run, on libraries that they have built.

use anyhow::{Context, Result, bail};
use shootdown_footprint::{Built, panics, size, stack};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "shootdown-footprint size|panics|stack [--functions] ARCHITECTURE/PROFILE=LIBRARY...";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shootdown-footprint: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (look, rest) = arguments.split_first().context(USAGE)?;
    let functions = rest.first().is_some_and(|first| first == "--functions");
    let built = rest.iter().skip(usize::from(functions)).map(|named| Built::read(named).context(USAGE));
    let built: Vec<Built> = built.collect::<Result<_>>()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match look.as_str() {
        "size" => size::report(&built, functions),
        "panics" => panics::report(&built, &root, include_str!("../panics.txt")),
        "stack" => stack::report(&built),
        other => bail!("{other}: {USAGE}"),
    }
}
