//! Runs other programs, and shows what they are.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Builds a call of cargo in `root` with `arguments`, separated by spaces.
pub fn cargo(root: &Path, arguments: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(arguments.split_whitespace());
    command
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
