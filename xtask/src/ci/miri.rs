//! Undefined behaviour: the tests of what is shipped, under Miri.

use anyhow::{Context, Result, anyhow, bail, ensure};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use super::build::Counts;
use super::steps::Done;
use crate::arch::nightly_builds_core;
use crate::process::{self, cargo, read};

/// Packages and their tests, longest first. Left out are tests that run other programs, which Miri cannot: `misuse` of the
/// engine, `assemble` and `emulator` of the host, `linker` of the global engine; and `explored` of the judge, which runs the explorer and no unsafe code
/// of ours. Sizes are chosen for Miri by `cfg!(miri)` where they are.
const TESTS: [&str; 11] = [
    "--package shootdown --test hard",
    "--package shootdown --test tags",
    "--package shootdown-host --lib --test host --test tlb",
    "--package shootdown --lib --test host --test properties",
    "--package shootdown-judge --lib",
    "--package shootdown-with-page_table_multiarch --lib --tests",
    "--package shootdown-with-page-table-generic --lib --tests",
    "--package shootdown-with-x86_64 --lib --tests",
    "--package shootdown-trace --lib --test log --test tracing",
    "--package shootdown-global --lib --test global",
    "--package shootdown-ports --package shootdown-with-crate_interface --lib --tests",
];
/// Tests leak their machines on purpose, and property tests ask for the time and for variables. The engine keeps addresses of
/// spaces in atomic words and makes references of them again, so provenance is exposed: with the permissive model each such
/// cast is accepted without a warning, and checked as far as Miri can.
const FLAGS: &str = "-Zmiri-ignore-leaks -Zmiri-disable-isolation -Zmiri-permissive-provenance";
/// Adds what is missing to the nightly toolchain.
const REMEDY: &str = "rustup component add miri rust-src --toolchain nightly";
/// Installs the nightly toolchain with it.
const INSTALL: &str = "rustup toolchain install nightly --profile minimal --component miri --component rust-src --no-self-update";

/// Runs the tests, as many lists at once as there are processors: Miri uses one for each.
pub fn miri(root: &Path) -> Result<Done> {
    ensure_miri(root)?;
    process::run(&mut cargo(root, "+nightly miri setup"))?;
    let left = Mutex::new(TESTS.iter());
    let next = || left.lock().ok().and_then(|mut left| left.next());
    let worker = || -> Result<Counts> {
        let mut counts = Counts::default();
        while let Some(tests) = next() {
            run(root, tests)?.lines().for_each(|line| counts.add(line));
        }
        Ok(counts)
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<Result<Counts>> = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, Result<Counts>>| match worker.join() {
            Ok(counts) => counts,
            Err(_) => Err(anyhow!("a thread that ran tests panicked")),
        };
        running.into_iter().map(join).collect()
    });
    let counts =
        parts.into_iter().collect::<Result<Vec<_>>>()?.into_iter().fold(Counts::default(), Counts::plus);
    ensure!(counts.passed > 0, "no test ran");
    let Counts { passed, ignored } = counts;
    Ok(Done::Passed(format!("{passed} tests passed, {ignored} ignored, no undefined behaviour")))
}

/// Runs some of the tests and returns what they print, which is printed in one piece.
fn run(root: &Path, tests: &str) -> Result<String> {
    let mut command = cargo(root, &format!("+nightly miri test --quiet {tests}"));
    command.env("MIRIFLAGS", FLAGS);
    let begin = Instant::now();
    let output = command.output().context("cannot start cargo")?;
    let text = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat();
    println!("$ {} ({:.0} s)\n{text}", process::line(&command), begin.elapsed().as_secs_f64());
    process::check(&command, output.status)?;
    Ok(text)
}

/// Finds Miri and the source of the standard library, or installs them. Never updates a toolchain that is there.
///
/// # Errors
/// Neither: with the command that installs them.
fn ensure_miri(root: &Path) -> Result<()> {
    let there = || {
        let mut ask = cargo(root, "+nightly miri --version");
        let asked = ask.stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success()) && nightly_builds_core()
    };
    if there() {
        return Ok(());
    }
    let toolchains = read(Command::new("rustup").args(["toolchain", "list"])).with_context(|| {
        format!("Miri is missing, and comes with rustup, https://rustup.rs: then `{REMEDY}`")
    })?;
    let remedy = if toolchains.lines().any(|line| line.starts_with("nightly-")) { REMEDY } else { INSTALL };
    let mut words = remedy.split(' ');
    let mut install = Command::new(words.next().unwrap_or_default());
    let installed = process::run(install.args(words));
    if installed.is_ok() && there() {
        return Ok(());
    }
    bail!("cargo +nightly miri is missing: `{remedy}` installs it, and needs the network")
}
