//! Runs cases of one checker with one mutant, in a process of its own, and says what was found.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::set::{Catcher, Checker};
use super::tree::Built;
use crate::process::{self, line};

/// How long one case may take. A case that takes longer has found nothing.
const SECONDS: u64 = 300;
/// How long a process may take longer than it was told to.
const GRACE: u64 = 30;
/// What loom says where a thread may spin for ever: a limit, not a finding.
const LIMIT: &str = "exceeded maximum number of branches";

/// What a run of several cases came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The case that found something.
    pub found: Option<Found>,
    /// Cases that came to no end.
    pub stopped: Vec<String>,
    /// Cases that ended and found nothing, with what each took, in hundredths of a second where the checker tells.
    pub passed: Vec<(String, u64)>,
}

/// A case that found a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The check that found it.
    pub catcher: Catcher,
    /// States that were stored until then; tests store none.
    pub states: Option<u64>,
}

/// How one case ended.
enum Ended {
    Passed(u64),
    Found(Option<u64>),
    Stopped,
}

/// All cases of a checker, in the order in which they run.
///
/// # Errors
/// They cannot be listed.
pub fn cases(built: &Built, checker: Checker) -> Result<Vec<String>> {
    let names = |text: String| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
    };
    match checker {
        Checker::Explorer => {
            Ok(process::read(&mut Command::new(&built.explorer))?.lines().map(str::to_owned).collect())
        }
        Checker::Loom => Ok(names(process::read(Command::new(&built.loom).arg("--list"))?)),
        Checker::Tests => {
            let mut all = Vec::new();
            for (target, path) in &built.tests {
                let listed = names(process::read(Command::new(path).arg("--list"))?);
                all.extend(listed.into_iter().map(|test| format!("{target}::{test}")));
            }
            Ok(all)
        }
    }
}

/// Runs `cases` of `ipi_pending` with mutant `number`, or with none for 0, until one finds something.
///
/// # Errors
/// A program cannot be run, or refuses what it is given.
pub fn run(built: &Built, checker: Checker, number: usize, cases: &[String]) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut rest = cases;
    while let Some(first) = rest.first() {
        let (count, program) = batch(built, checker, rest, first)?;
        let (batch, later) = rest.split_at(count);
        rest = later;
        through(&program, checker, number, batch, &mut outcome)?;
        if outcome.found.is_some() {
            break;
        }
    }
    Ok(outcome)
}

/// A program and the arguments that say which test target a case is of.
struct Program<'a> {
    path: &'a std::path::Path,
    folder: &'a std::path::Path,
    /// The test target before a case's name, with its colons.
    target: String,
}

/// How many of `cases` the program of the first one runs, and that program.
fn batch<'a>(
    built: &'a Built,
    checker: Checker,
    cases: &[String],
    first: &str,
) -> Result<(usize, Program<'a>)> {
    let folder = &built.folder;
    let whole = |path| Ok((cases.len(), Program { path, folder, target: String::new() }));
    match checker {
        Checker::Explorer => whole(&built.explorer),
        Checker::Loom => whole(&built.loom),
        Checker::Tests => {
            let target = first.split("::").next().unwrap_or_default();
            let path =
                built.tests.get(target).with_context(|| format!("there is no test target {target:?}"))?;
            let target = format!("{target}::");
            let count = cases.iter().take_while(|case| case.starts_with(&target)).count();
            Ok((count, Program { path, folder, target }))
        }
    }
}

/// Runs `cases` by one program, which is started again where a case does not come to an end.
fn through(
    program: &Program<'_>,
    checker: Checker,
    number: usize,
    cases: &[String],
    outcome: &mut Outcome,
) -> Result<()> {
    let mut rest = cases;
    while let Some(case) = rest.first() {
        let command = command(program, checker, number, rest);
        let mut running = Running::start(command)?;
        while let Some((case, later)) = rest.split_first() {
            let ended = running.next(checker, case.strip_prefix(&program.target).unwrap_or(case))?;
            rest = later;
            match ended {
                Ended::Passed(cost) => outcome.passed.push((case.clone(), cost)),
                Ended::Found(states) if checker != Checker::Loom || !is_limit(program, number, case)? => {
                    outcome.found = Some(Found { catcher: Catcher { checker, case: case.clone() }, states });
                    return Ok(());
                }
                Ended::Found(_) | Ended::Stopped => {
                    outcome.stopped.push(case.clone());
                    break;
                }
            }
        }
        if rest.first() == Some(case) {
            bail!("{} made no progress", line(&running.command));
        }
    }
    Ok(())
}

fn command(program: &Program<'_>, checker: Checker, number: usize, cases: &[String]) -> Command {
    let mut command = Command::new(program.path);
    command.current_dir(program.folder).env("SHOOTDOWN_MUTANT", number.to_string());
    if checker == Checker::Explorer {
        command.args([number.to_string(), SECONDS.to_string()]).args(cases);
    } else {
        command.args(["--exact", "--test-threads", "1"]);
        command.args(cases.iter().map(|case| case.strip_prefix(&program.target).unwrap_or(case)));
    }
    command
}

/// Whether loom's scenario failed at a limit of loom's alone.
fn is_limit(program: &Program<'_>, number: usize, case: &String) -> Result<bool> {
    let mut command = command(program, Checker::Loom, number, std::slice::from_ref(case));
    let output =
        command.arg("--nocapture").output().with_context(|| format!("cannot start {}", line(&command)))?;
    Ok([output.stdout, output.stderr].iter().any(|text| String::from_utf8_lossy(text).contains(LIMIT)))
}

/// A program that prints a line for each case.
struct Running {
    command: Command,
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", line(&command)))?;
        let output = child.stdout.take().context("the output was asked for")?;
        let errors = child.stderr.take().context("the errors were asked for")?;
        let (send, lines) = channel();
        std::thread::spawn(move || {
            let read = BufReader::new(output).lines();
            read.map_while(Result::ok).take_while(|line| send.send(line.clone()).is_ok()).for_each(drop);
        });
        // What nobody reads would fill the pipe, and the program would wait for ever.
        std::thread::spawn(move || BufReader::new(errors).lines().map_while(Result::ok).for_each(drop));
        Ok(Self { command, child, lines })
    }

    /// Waits for the line of `case`.
    fn next(&mut self, checker: Checker, case: &str) -> Result<Ended> {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(SECONDS + GRACE)) {
                Ok(line) => {
                    if let Some(ended) = ended(checker, case, &line) {
                        return Ok(ended);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Ended::Stopped),
                Err(RecvTimeoutError::Disconnected) => return self.died(),
            }
        }
    }

    /// The program ended in the middle of a case: what it ran went wrong beyond what a test can catch.
    fn died(&mut self) -> Result<Ended> {
        let status = self.child.wait()?;
        if crashed(status) {
            return Ok(Ended::Found(None));
        }
        bail!("`{}` ended without a result: {status}", line(&self.command));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
fn crashed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal().is_some()
}

#[cfg(not(unix))]
fn crashed(status: ExitStatus) -> bool {
    status.code().is_some_and(|code| code < 0)
}

/// Reads a line of output, if it is about `case`.
fn ended(checker: Checker, case: &str, line: &str) -> Option<Ended> {
    if checker != Checker::Explorer {
        let result = line.strip_prefix("test ")?.strip_prefix(case)?;
        let result = result.strip_prefix(" - should panic").unwrap_or(result).strip_prefix(" ... ")?;
        return match result {
            // The program has ended in the middle of the line.
            "" => None,
            _ if result.ends_with("FAILED") => Some(Ended::Found(None)),
            _ => Some(Ended::Passed(0)),
        };
    }
    let mut cells = line.strip_prefix(case)?.strip_prefix('\t')?.split('\t');
    let (verdict, states, seconds) = (cells.next()?, cells.next()?.parse().ok()?, cells.next()?);
    Some(match verdict {
        "holds" => Ended::Passed(seconds.replace('.', "").parse().ok()?),
        "stopped" => Ended::Stopped,
        _ => Ended::Found(Some(states)),
    })
}

#[cfg(test)]
mod tests {
    use super::{Checker, Ended, ended};

    #[test]
    fn only_a_finding_is_a_finding() {
        let line =
            |verdict: &str| ended(Checker::Explorer, "seed", &format!("seed\t{verdict}\t34\t1.20\twhat"));
        assert!(matches!(line("violates"), Some(Ended::Found(Some(34)))));
        assert!(matches!(line("deadlock"), Some(Ended::Found(Some(34)))));
        assert!(matches!(line("stopped"), Some(Ended::Stopped)));
        assert!(matches!(line("holds"), Some(Ended::Passed(120))));
        assert!(ended(Checker::Explorer, "see", "seed\tholds\t1\t1.00\t").is_none());
    }

    #[test]
    fn a_test_s_line_is_told_from_what_tests_print() {
        assert!(matches!(ended(Checker::Loom, "a", "test a ... FAILED"), Some(Ended::Found(None))));
        assert!(matches!(ended(Checker::Tests, "m::a", "test m::a ... ok"), Some(Ended::Passed(0))));
        assert!(matches!(ended(Checker::Tests, "a", "test a - should panic ... ok"), Some(Ended::Passed(0))));
        assert!(ended(Checker::Tests, "a", "test ab ... ok").is_none());
        assert!(ended(Checker::Tests, "a", "running 1 test").is_none());
        assert!(ended(Checker::Tests, "a", "test a ... ").is_none(), "it was aborted");
    }
}
