//! Steps that call cargo once for each workspace.

use anyhow::{Result, ensure};
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::dependencies;
use super::outcome::{Done, Pace};
use super::own_case::in_copy;
use crate::package::{self, INTEGRATIONS};
use crate::process::{self, cargo, stream};
use crate::toolchain::ensure_core;

/// Packages with the engine's source: their documentation is the engine's.
const SAME_LIBRARY: &str =
    "--exclude shootdown-under-explore --exclude shootdown-under-loom --exclude shootdown-instrumented";
/// The same of arch crates, in the workspace of the examples, which are examined with them.
const SAME_ARCH: &str = "--exclude shootdown-host-under-doctor --exclude shootdown-riscv64-under-doctor --exclude shootdown-x86_64-under-doctor";

/// All packages, and the program that measures.
pub const ALL: &str = "--workspace --features xtask/measure";
/// The engine as a kernel without tags has it.
const BARE_ENGINE: &str = "--package shootdown --no-default-features";
/// As everything else is built, so that procedural macros and build scripts are compiled once.
const LINTS: &str = "--all-targets --release -- -D warnings";
const QUICK_LINTS: &str = "clippy --workspace --features shootdown-cli/full --release -- -D warnings";
/// The engine's tests, and those of the crates that kernels link beside it.
const QUICK_TESTS: &str =
    "test --release -p shootdown -p shootdown-x86_64 -p shootdown-aarch64 -p shootdown-riscv64";

/// Builds a call of cargo in the workspace of the examples, which shares the target folder.
pub fn examples(root: &Path, arguments: &str) -> Command {
    in_copy(root, &root.join("examples"), arguments)
}

pub fn fmt(root: &Path) -> Result<Done> {
    process::run(&mut cargo(root, "fmt --all --check"))?;
    process::run(&mut examples(root, "fmt --all --check"))?;
    Ok(Done::Passed("laid out".into()))
}

/// Builds what the other steps run: all programs and tests, or the command that a first run has.
pub fn build(root: &Path, pace: Pace) -> Result<Done> {
    if pace == Pace::Quick {
        process::build_shootdown_small(root)?;
        return Ok(Done::Passed("the command, as a first run has it".into()));
    }
    // The emulator's guests are built for it.
    ensure_core("riscv64gc-unknown-none-elf")?;
    process::build_shootdown(root, &format!("test --release {ALL} --no-run"))?;
    process::run(&mut examples(root, "test --release --workspace --no-run"))?;
    Ok(Done::Passed("programs and tests of all packages".into()))
}

pub fn clippy(root: &Path, pace: Pace) -> Result<Done> {
    if pace == Pace::Quick {
        process::run(&mut cargo(root, QUICK_LINTS))?;
        return Ok(Done::Passed("no warnings in libraries and programs".into()));
    }
    process::run(&mut cargo(root, &format!("clippy {ALL} {LINTS}")))?;
    // What the default build leaves out, and what docs.rs builds.
    process::run(&mut cargo(root, "clippy --release --package shootdown-cli -- -D warnings"))?;
    let shipped = documented(root)?;
    process::run(&mut cargo(root, &format!("clippy --release --all-features{shipped} -- -D warnings")))?;
    process::run(&mut cargo(root, &format!("clippy {BARE_ENGINE} {LINTS}")))?;
    ensure_core("riscv64gc-unknown-none-elf")?;
    process::run(&mut examples(root, &format!("clippy --workspace {LINTS}")))?;
    Ok(Done::Passed("no warnings".into()))
}

pub fn doc(root: &Path) -> Result<Done> {
    let most = format!("doc --release --workspace --no-deps {SAME_LIBRARY} --exclude {INTEGRATIONS}");
    let shipped = format!("doc --release --no-deps --all-features{}", documented(root)?);
    let examples = examples(root, &format!("doc --release --workspace --no-deps {SAME_ARCH}"));
    for mut command in [cargo(root, &most), cargo(root, &shipped), examples] {
        process::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(Done::Passed("no warnings".into()))
}

/// The packages whose documentation docs.rs builds with all features, as cargo is told.
fn documented(root: &Path) -> Result<String> {
    let all = package::published(root)?;
    let with_all = all.iter().filter(|package| package["metadata"]["docs"]["rs"]["all-features"] == true);
    Ok(with_all.filter_map(|package| package["name"].as_str()).map(|name| format!(" -p {name}")).collect())
}

pub fn release(root: &Path) -> Result<Done> {
    let packages = package::shape(root)?;
    dependencies::licences(root)?;
    Ok(Done::Passed(format!(
        "{packages} manifests, the engine without dependencies; licences, sources and bans of dependencies"
    )))
}

pub fn package(root: &Path) -> Result<Done> {
    let packages = package::package(root)?;
    Ok(Done::Passed(format!("{packages} packages, packed from a clone, built and tested from that")))
}

pub fn tests(root: &Path, pace: Pace) -> Result<Done> {
    ensure_core("riscv64gc-unknown-none-elf")?;
    let commands = match pace {
        Pace::Quick => vec![cargo(root, QUICK_TESTS)],
        Pace::Whole => {
            // All failures at once: nobody should fix one only to find the next a run later.
            let all = format!("test --release {ALL} --no-fail-fast");
            let bare = format!("test --release {BARE_ENGINE} --no-fail-fast");
            let examples = examples(root, "test --release --workspace --no-fail-fast");
            vec![cargo(root, &all), cargo(root, &bare), examples]
        }
    };
    let mut counts = Counts::default();
    let mut failed = None;
    for mut command in commands {
        // A snapshot that differs is a failure here, never a new snapshot.
        let (more, status) = counted(command.env("INSTA_UPDATE", "no"))?;
        counts = counts.plus(more);
        failed = failed.or(process::check(&command, status).err());
        ensure!(failed.is_some() || more.passed > 0, "no test ran");
    }
    if let Some(error) = failed {
        return Err(error);
    }
    Ok(Done::Passed(format!("{} tests passed, {} ignored", counts.passed, counts.ignored)))
}

/// Runs tests, prints what they print, and counts them.
///
/// # Errors
/// They cannot be started; what their end means is for the caller to judge.
pub fn counted(command: &mut Command) -> Result<(Counts, ExitStatus)> {
    let mut counts = Counts::default();
    let status = stream(command, |line| {
        println!("{line}");
        counts.add(line);
        Ok(())
    })?;
    Ok((counts, status))
}

/// Sums over the lines with which test programs end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub ignored: u64,
}

impl Counts {
    pub fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, ignored: self.ignored + other.ignored }
    }

    /// Adds what a line says, if it is such a line.
    pub fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let count = |what: &str| {
            let part =
                result.split("; ").flat_map(|part| part.rsplit(". ")).find(|part| part.ends_with(what));
            part.and_then(|part| part.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += count(" passed");
        self.ignored += count(" ignored");
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn the_last_lines_of_test_programs_are_summed() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add(
            "test result: ok. 51 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        );
        counts.add("test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s");
        assert_eq!(counts, Counts { passed: 54, ignored: 2 });
    }
}
