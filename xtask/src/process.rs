//! Runs other programs, and shows what they are.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;

/// The command of this project, once it is built.
static SHOOTDOWN: OnceLock<PathBuf> = OnceLock::new();
/// Builds it alone: a third of what all tests need.
const ALONE: &str = "build --release --package shootdown-cli --features full --bin shootdown";
/// Builds what a first run of it has.
const FIRST: &str = "build --release --package shootdown-cli --bin shootdown";
/// Where it is kept: a later build with other features takes its place.
const KEPT: &str = "ci/shootdown";

/// Builds a call of cargo in `root` with `arguments`, separated by spaces. What debug builds keep for the next one is
/// seldom used here, and takes time.
pub fn cargo(root: &Path, arguments: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(arguments.split_whitespace()).env("CARGO_INCREMENTAL", "0");
    command
}

/// Builds a call of the command of this project with `arguments`, separated by spaces. Where nothing has built it in
/// this run, cargo does.
///
/// # Errors
/// It does not build.
pub fn shootdown(root: &Path, arguments: &str) -> Result<Command> {
    if SHOOTDOWN.get().is_none() {
        build_shootdown(root, ALONE)?;
    }
    let mut command = Command::new(SHOOTDOWN.get().context("it was built")?);
    command.current_dir(root).args(arguments.split_whitespace());
    Ok(command)
}

/// Has cargo do `arguments`, which builds the command of this project among other things. The steps that follow run
/// that one: built alone, its packages have other features, and most would be compiled again.
///
/// # Errors
/// It does not build.
pub fn build_shootdown(root: &Path, arguments: &str) -> Result<()> {
    let mut command = cargo(root, arguments);
    let mut built = None;
    let status = stream(command.arg("--message-format=json-render-diagnostics"), |line| {
        let message: Value = serde_json::from_str(line).context("a line of cargo's that is not JSON")?;
        let is_ours = message["target"]["name"] == "shootdown" && message["target"]["kind"][0] == "bin";
        let file = message["executable"].as_str().filter(|_| is_ours && message["profile"]["test"] == false);
        built = file.map(PathBuf::from).or(built.take());
        Ok(())
    })?;
    check(&command, status)?;
    let built = built.with_context(|| format!("`{}` does not build the command", line(&command)))?;
    let kept = keep(&built)?;
    SHOOTDOWN.get_or_init(|| kept);
    Ok(())
}

/// Builds the command with what a first run of it has: `check` and what is about it.
///
/// # Errors
/// It does not build.
pub fn build_shootdown_small(root: &Path) -> Result<()> {
    build_shootdown(root, FIRST)
}

/// Copies a program of the target folder to where nothing is built.
fn keep(built: &Path) -> Result<PathBuf> {
    let target =
        built.parent().and_then(Path::parent).context("a program lies in a folder of its profile")?;
    let kept = target.join(KEPT);
    let folder = kept.parent().unwrap_or(target);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // One that runs, of this run or another, is not written over.
    let copy = kept.with_extension(std::process::id().to_string());
    fs::copy(built, &copy).with_context(|| format!("cannot copy {}", built.display()))?;
    fs::rename(&copy, &kept).with_context(|| format!("cannot make {}", kept.display()))?;
    Ok(kept)
}

/// Runs `command`; its output goes where ours goes.
///
/// # Errors
/// It cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", line(command));
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    check(command, status)
}

/// Runs `command`, prints its output, and hands each line of it to `see`.
///
/// # Errors
/// It cannot be started; what it returns is for the caller to judge.
pub fn stream(command: &mut Command, mut see: impl FnMut(&str) -> Result<()>) -> Result<ExitStatus> {
    println!("$ {}", line(command));
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {}", line(command)))?;
    let output = child.stdout.take().context("the output was asked for")?;
    for text in BufReader::new(output).lines() {
        let text = text?;
        see(&text)?;
    }
    Ok(child.wait()?)
}

/// Runs `command` silently and returns its output.
///
/// # Errors
/// It cannot be started, or fails.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", line(command)))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    check(command, output.status)?;
    Ok(String::from_utf8(output.stdout)?)
}

/// What `shootdown check --json` came to.
pub struct Checked {
    pub status: ExitStatus,
    /// A record for each case.
    pub records: Vec<Value>,
    /// What it said besides.
    pub said: String,
}

/// Runs `shootdown check --json` with `arguments`.
///
/// # Errors
/// It cannot be run, or says nothing of any case.
pub fn checked(root: &Path, arguments: &str) -> Result<Checked> {
    let mut command = shootdown(root, &format!("check {arguments} --json"))?;
    let output = command.output().with_context(|| format!("cannot start {}", line(&command)))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let read = |text: &str| serde_json::from_str(text).with_context(|| format!("no JSON: {text}"));
    let records = String::from_utf8(output.stdout)?.lines().map(read).collect::<Result<Vec<_>>>()?;
    ensure!(!records.is_empty(), "`{}` says nothing: {said}", line(&command));
    Ok(Checked { status: output.status, records, said })
}

/// The first case that must hold and does not. One that was merely stopped has caught nothing.
pub fn caught(records: &[Value]) -> Option<&str> {
    let found = |record: &&Value| {
        let verdict = record["verdict"].as_str().unwrap_or("stopped");
        record["expected"] == "holds" && !matches!(verdict, "holds" | "stopped" | "unproved")
    };
    records.iter().find(found).and_then(|record| record["name"].as_str())
}

/// Boots `image` by a program of QEMU, for at most so many seconds; returns how that ended and what the machine
/// printed.
///
/// # Errors
/// It cannot be started.
pub fn boot(patience: &str, qemu: &str, machine: &[&str], image: &Path) -> Result<(ExitStatus, String)> {
    let mut command = Command::new("timeout");
    command.args([patience, qemu]).args(machine).args(["-nographic", "-kernel"]).arg(image);
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start QEMU")?;
    Ok((output.status, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Fails if `status` says that `command` did.
///
/// # Errors
/// It did.
pub fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Seconds on CPUs of all programs that have been waited for, where /proc says so: in hundredths, behind the name of
/// the program.
pub fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| words.get(index)?.parse::<f64>().ok();
    Some((ticks(13)? + ticks(14)?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stopped_case_catches_nothing() {
        let record = |verdict: &str| json!({"name": "a", "expected": "holds", "verdict": verdict});
        assert_eq!(caught(&[record("holds"), record("stopped")]), None);
        assert_eq!(caught(&[record("holds"), record("deadlock")]), Some("a"));
    }

    #[test]
    fn time_on_cpus_is_known_on_linux() {
        assert_eq!(cpu_seconds().is_some(), cfg!(target_os = "linux"));
    }
}
