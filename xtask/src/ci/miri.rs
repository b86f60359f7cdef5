//! Undefined behaviour, where Miri is installed.

use anyhow::Result;
use std::path::Path;
use std::process::Stdio;

use super::steps::Done;
use crate::process::{self, cargo};

/// Host tests that end under Miri: what they try at random is cut down there by `cfg!(miri)`.
const TESTS: &str = "+nightly miri test --package shootdown --test host --test hard";
/// Tests leak their machines on purpose, and property tests ask for the time and for variables.
const FLAGS: &str = "-Zmiri-ignore-leaks -Zmiri-disable-isolation";

pub fn miri(root: &Path) -> Result<Done> {
    let mut ask = cargo(root, "+nightly miri --version");
    let there = ask.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        return Ok(Done::Skipped(
            "cargo +nightly miri is not installed; rustup component add miri --toolchain nightly".into(),
        ));
    }
    process::run(cargo(root, TESTS).env("MIRIFLAGS", FLAGS))?;
    Ok(Done::Passed("host tests of the engine, no undefined behaviour".into()))
}
