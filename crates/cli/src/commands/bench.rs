#[cfg(target_os = "linux")]
use std::io::Write;
use std::process::ExitCode;

use crate::args::{BenchArgs, Contest};
#[cfg(target_os = "linux")]
use crate::failure::AS_EXPECTED;
use crate::failure::Failure;

/// Runs `shootdown bench`.
///
/// # Errors
/// A policy or workload that does not exist; output that cannot be written.
pub fn bench(args: &BenchArgs) -> Result<ExitCode, Failure> {
    match args.contest {
        None => super::policies::policies(args),
        Some(Contest::Host) => host(args),
    }
}

/// Rounds of `bench host`.
#[cfg(target_os = "linux")]
const ROUNDS: usize = 41;

/// Times flushes on this host.
#[cfg(target_os = "linux")]
fn host(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let timings = shootdown_lab::host::host(usize::from(args.sharers), ROUNDS).map_err(|error| {
        Failure::bad_input(
            format!("this host refuses what is to be timed: {error}"),
            "a Linux kernel with membarrier(2), 4.14 or later, is needed",
        )
    })?;
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

#[cfg(not(target_os = "linux"))]
fn host(_: &BenchArgs) -> Result<ExitCode, Failure> {
    Err(Failure::bad_input("native runs on a host other than Linux", "run it on Linux"))
}
