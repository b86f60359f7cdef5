use shootdown_bench::{Comparison, explore_vs_loom};
use std::io::Write;
use std::process::ExitCode;

use crate::args::{BenchArgs, Contest};
use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED};

/// Runs `shootdown bench`.
///
/// # Errors
/// A policy or workload that does not exist; output that cannot be written.
pub fn bench(args: &BenchArgs) -> Result<ExitCode, Failure> {
    match args.contest {
        None => super::policies::policies(args),
        Some(Contest::Explore) => explore(args),
        Some(Contest::Host) => host(args),
    }
}

/// Times flushes on this host.
fn host(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let timings = timings(usize::from(args.sharers))?;
    let mut out = anstream::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&timings).map_err(std::io::Error::from)?)?;
        return Ok(ExitCode::from(AS_EXPECTED));
    }
    writeln!(out, "one flush with {} other threads; medians over {ROUNDS} rounds in turn", args.sharers)?;
    for timing in timings {
        writeln!(out, "{:16} {:>10.0} ns  {:>7.2} x", timing.way, timing.nanoseconds, timing.over_engine)?;
    }
    Ok(ExitCode::from(AS_EXPECTED))
}

/// Rounds of `bench host`.
const ROUNDS: usize = 41;

#[cfg(target_os = "linux")]
fn timings(sharers: usize) -> Result<Vec<shootdown_lab::host::Timing>, Failure> {
    shootdown_lab::host::host(sharers, ROUNDS).map_err(|error| {
        Failure::bad_input(
            format!("this host refuses what is to be timed: {error}"),
            "a Linux kernel with membarrier(2), 4.14 or later, is needed",
        )
    })
}

#[cfg(not(target_os = "linux"))]
fn timings(_: usize) -> Result<Vec<Comparison>, Failure> {
    Err(Failure::bad_input("native runs on a host other than Linux", "run it on Linux"))
}

fn explore(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let comparison = explore_vs_loom();
    let mut out = anstream::stdout().lock();
    if args.json {
        writeln!(out, "{}", json(&comparison)?)?;
    } else {
        writeln!(out, "{comparison}")?;
        writeln!(out, "{}", verdict(&comparison))?;
    }
    Ok(ExitCode::from(if comparison.agrees() { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

/// Writes the comparison as one line.
fn json(comparison: &Comparison) -> Result<String, std::io::Error> {
    Ok(serde_json::to_string(comparison)?)
}

/// Says whether both checkers are right, which the times alone do not.
fn verdict(comparison: &Comparison) -> &'static str {
    match comparison.agrees() {
        true => "Both checkers pass what is sound and catch what is broken.",
        false => "NOT AS EXPECTED: a checker did not finish, or says otherwise than it must.",
    }
}

#[cfg(test)]
mod tests {
    use super::{json, verdict};
    use shootdown_bench::{Comparison, Outcome, Row};

    fn comparison(broken: bool) -> Comparison {
        let outcome = Outcome { visited: 10, executions: 3, complete: true, caught: false, seconds: 0.5 };
        Comparison { rows: vec![Row { variant: "sound", broken, explorer: outcome, loom: outcome }] }
    }

    #[test]
    fn a_bug_that_a_checker_misses_is_said() {
        assert!(verdict(&comparison(false)).starts_with("Both checkers"));
        assert!(verdict(&comparison(true)).starts_with("NOT AS EXPECTED"));
    }

    #[test]
    fn the_comparison_is_one_line_of_json() {
        let line = json(&comparison(false)).expect("JSON");
        assert!(!line.contains('\n'), "{line}");
        let back: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(back["rows"][0]["explorer"]["visited"], 10);
    }
}
