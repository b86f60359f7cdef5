//! Runs SPIN on a model.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::processor;

/// What SPIN did.
pub(crate) struct Run {
    pub(crate) states: u64,
    pub(crate) errors: u64,
    /// Processor time to the verdict, without making and compiling the program that checks.
    pub(crate) seconds: f64,
}

/// Checks `model` on `cpus` CPUs with SPIN, all its reductions on; an error says what is missing or failed.
pub(crate) fn run(model: &str, cpus: usize) -> Result<Run, String> {
    let folder = std::env::temp_dir().join(format!("vs_spin-{model}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let run = check(model, cpus, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    run
}

fn check(model: &str, cpus: usize, folder: &Path) -> Result<Run, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/vs_spin/{model}.pml"));
    let cpus = format!("-DN={cpus}");
    output(Command::new("spin").args(["-a", &cpus]).arg(source).current_dir(folder))?;
    output(Command::new("gcc").args(["-O2", "-DSAFETY", "-o", "pan", "pan.c"]).current_dir(folder))?;
    let (began, before) = (Instant::now(), processor::seconds_of_children());
    let text = output(Command::new(folder.join("pan")).arg("-m1000000").current_dir(folder))?;
    let used = before.and_then(|before| Some(processor::seconds_of_children()? - before));
    let seconds = used.unwrap_or(began.elapsed().as_secs_f64());
    let states = number_before(&text, " states, stored")?;
    let errors = text.rsplit_once("errors: ").map_or("", |(_, rest)| rest.lines().next().unwrap_or(""));
    let errors = errors.trim().parse().map_err(|_| format!("no number of errors in:\n{text}"))?;
    Ok(Run { states, errors, seconds })
}

fn number_before(text: &str, what: &str) -> Result<u64, String> {
    let before = text.split_once(what).and_then(|(before, _)| before.split_whitespace().last());
    let number: Option<f64> = before.and_then(|number| number.parse().ok());
    number.map(|number| number as u64).ok_or_else(|| format!("no{what} in:\n{text}"))
}

fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{program}: {}\n{text}", output.status)) }
}
