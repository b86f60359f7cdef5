//! Undefined behaviour: the tests of what is shipped, under Miri.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use super::build::Counts;
use super::outcome::Done;
use crate::process::{self, cargo, read};
use crate::toolchain::nightly_builds_core;

/// Whose tests run, longest first.
const PACKAGES: [&str; 3] = ["shootdown", "shootdown-host", "shootdown-integrations"];
/// Test programs that do not run, and why. All others do, new ones too; their sizes are chosen by `cfg!(miri)`.
const LEFT_OUT: [(&str, &str, &str); 3] = [
    ("shootdown", "front_door", "it reads documents, and calls nothing of the engine"),
    ("shootdown", "fuzz", "its machine is that of `hard`, and its inputs are many"),
    ("shootdown", "misuse", "it runs the compiler"),
];
/// Tests leak their machines on purpose, and property tests ask for the time and for variables. The engine keeps
/// addresses of spaces in atomic words and makes references of them again, so provenance is exposed: with the
/// permissive model each such cast is accepted without a warning, and checked as far as Miri can.
const FLAGS: &str = "-Zmiri-ignore-leaks -Zmiri-disable-isolation -Zmiri-permissive-provenance";
/// The engine with all that it has.
const FEATURE: &str = "--features shootdown/sanitizer";
/// Adds what is missing to the nightly toolchain.
const REMEDY: &str = "rustup component add miri rust-src --toolchain nightly";
/// Installs the nightly toolchain with it.
const INSTALL: &str = "rustup toolchain install nightly --profile minimal --component miri --component rust-src --no-self-update";

/// Runs the test programs, as many at once as there are processors: Miri uses one for each.
pub fn miri(root: &Path) -> Result<Done> {
    ensure_miri(root)?;
    process::run(&mut cargo(root, "+nightly miri setup"))?;
    let tests = tests(&read(&mut cargo(root, "metadata --no-deps --format-version 1"))?)?;
    let left = Mutex::new(tests.iter());
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

/// Returns the arguments for each test program.
///
/// # Errors
/// One that is left out does not exist.
fn tests(metadata: &str) -> Result<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let place = |package: &Value| PACKAGES.iter().position(|listed| package["name"] == *listed);
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut left_out = 0;
    for (place, package) in packages.iter().filter_map(|package| Some((place(package)?, package))) {
        let name = package["name"].as_str().unwrap_or_default();
        for target in
            package["targets"].as_array().into_iter().flatten().filter(|target| target["test"] == true)
        {
            let program = target["name"].as_str().unwrap_or_default();
            let which = match target["kind"][0].as_str() {
                Some("test") if LEFT_OUT.iter().any(|(of, test, _)| (*of, *test) == (name, program)) => {
                    left_out += 1;
                    continue;
                }
                Some("test") => format!("--test {program}"),
                Some("lib") => "--lib".to_owned(),
                _ => continue,
            };
            found.push((place, format!("--package {name} {which}")));
        }
    }
    ensure!(
        left_out == LEFT_OUT.len(),
        "{} test programs are left out, and {left_out} exist",
        LEFT_OUT.len()
    );
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, arguments)| arguments).collect())
}

/// Runs some of the tests and returns what they print, which is printed in one piece.
fn run(root: &Path, tests: &str) -> Result<String> {
    let mut command = cargo(root, &format!("+nightly miri test --quiet {FEATURE} {tests}"));
    // Tests catch many panics, and Miri takes seconds to name the places of one.
    command.env("MIRIFLAGS", FLAGS).env("RUST_BACKTRACE", "0");
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

#[cfg(test)]
mod tests {
    use super::{LEFT_OUT, tests};
    use serde_json::json;

    #[test]
    fn every_test_program_of_what_is_shipped_runs_unless_it_is_left_out_by_name() {
        let target = |kind: &str, name: &str| json!({"kind": [kind], "name": name, "test": true});
        let mut packages = vec![
            json!({"name": "shootdown-integrations", "targets": [target("test", "a")]}),
            json!({"name": "shootdown", "targets":
                [target("lib", "shootdown"), target("test", "b"), target("example", "c")]}),
            json!({"name": "shootdown-cli", "targets": [target("test", "d")]}),
        ];
        let metadata = |packages: &[serde_json::Value]| json!({ "packages": packages }).to_string();
        assert!(tests(&metadata(&packages)).is_err(), "what is left out must exist");
        let left_out = |(package, test, _): &(&str, &str, &str)| json!({"name": package, "targets": [target("test", test)]});
        packages.extend(LEFT_OUT.iter().map(left_out));
        let expected = [
            "--package shootdown --lib",
            "--package shootdown --test b",
            "--package shootdown-integrations --test a",
        ];
        assert_eq!(tests(&metadata(&packages)).expect("metadata"), expected);
    }
}
