use indicatif::HumanCount;
use shootdown_bench::bench::{EXERCISE, Row, exercise};
use shootdown_bench::workload::WorkloadKind;
use std::io::Write;
use std::process::ExitCode;

use super::policies::ONE_CPU;
use crate::args::{BenchArgs, Contest};
use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED};
#[cfg(target_os = "linux")]
use crate::output::{counted, fill};
#[cfg(target_os = "linux")]
use crate::threads::afford;
#[cfg(target_os = "linux")]
use shootdown_bench::host::Timing;

/// Runs `shootdown bench`.
///
/// # Errors
/// A policy or workload that does not exist; output that cannot be written.
pub fn bench(args: &BenchArgs) -> Result<ExitCode, Failure> {
    args.only_used()?;
    match args.contest {
        None => super::policies::policies(args),
        Some(Contest::Seed) => seed(args),
        Some(Contest::Host) => host(args),
    }
}

/// Prints the exercise of the commit that this project began with.
fn seed(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let rows = exercise(args.cpus(), args.seed());
    let mut out = anstream::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&rows).map_err(std::io::Error::from)?)?;
    } else {
        write!(out, "{}", exercise_table(&rows))?;
        if args.cpus().number() == 1 {
            writeln!(out, "{ONE_CPU}")?;
        }
    }
    let promised = rows.iter().flatten().all(Row::is_as_promised);
    Ok(ExitCode::from(if promised { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

/// IPIs of each of the three, with what was used after it had been given away.
fn exercise_table(rows: &[[Row; 2]; 3]) -> String {
    let [first, second] = EXERCISE.map(WorkloadKind::name);
    let names = ["sparc64 before bafb056ce279", "sparc64 after it", "shootdown"];
    let mut table = format!("{:30}{first:>18}{second:>10}{:>14}\n", "IPIs", "stale uses");
    for (name, [first, second]) in names.into_iter().zip(rows) {
        let stale = first.totals.violations + second.totals.violations;
        let counts = [first.totals.sent, second.totals.sent, stale].map(|n| HumanCount(n).to_string());
        table += &format!("{name:30}{:>18}{:>10}{:>14}\n", counts[0], counts[1], counts[2]);
    }
    table
}

/// Rounds of `bench host`.
#[cfg(target_os = "linux")]
const ROUNDS: usize = 21;

/// Times flushes on this host.
#[cfg(target_os = "linux")]
fn host(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let sharers = usize::from(args.sharers());
    afford(shootdown_bench::host::threads(sharers), "--sharers")?;
    let timings = shootdown_bench::host::host(sharers, ROUNDS).map_err(|error| {
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
    writeln!(
        out,
        "one flush with {}; medians and quartiles of {ROUNDS} pairs",
        counted(args.sharers(), "other thread")
    )?;
    for Timing { way, nanoseconds, over_engine } in &timings.timings {
        let (times, ratio) = (nanoseconds, over_engine);
        writeln!(
            out,
            "{way:16}{:>9.0} ns ({:.0} to {:.0}){:>9.2} x ({:.2} to {:.2})",
            times.median, times.low, times.high, ratio.median, ratio.low, ratio.high
        )?;
    }
    if let Some(doubt) = &timings.doubt {
        writeln!(out, "{}", fill(&format!("Not evidence here: {doubt}.")))?;
    }
    Ok(ExitCode::from(AS_EXPECTED))
}

#[cfg(not(target_os = "linux"))]
fn host(_: &BenchArgs) -> Result<ExitCode, Failure> {
    Err(Failure::bad_input(
        format!("`bench host` times membarrier(2), which {} does not have", std::env::consts::OS),
        "run it on Linux; `bench` and `bench seed` count on a simulated machine, on every host",
    ))
}

#[cfg(test)]
mod tests {
    use super::{exercise, exercise_table};
    use shootdown_bench::machine::CpuCount;

    #[test]
    fn the_readme_shows_the_exercise_as_it_is() {
        let table = exercise_table(&exercise(CpuCount::new(16).expect("a number of CPUs"), 1));
        assert!(include_str!("../../../../README.md").contains(&table), "README.md does not show:\n{table}");
    }
}
