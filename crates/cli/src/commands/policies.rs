use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shootdown_lab::bench::{Row, bench};
use shootdown_lab::policy::PolicyKind;
use shootdown_lab::workload::{Params, WorkloadKind};
use std::io::{self, Write};
use std::process::ExitCode;

use super::lab_table::{self, LEGEND};
use crate::args::BenchArgs;
use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED};

/// What `shootdown bench --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    rows: &'a [Row],
}

/// Runs `shootdown bench`: policies under workloads.
///
/// # Errors
/// A policy or workload that does not exist; output that cannot be written.
pub fn policies(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let policies = lab_table::policies(&args.policy, &PolicyKind::ALL)?;
    let names = WorkloadKind::ALL.map(WorkloadKind::name);
    let workloads =
        lab_table::chosen("workload", &args.workload, &WorkloadKind::ALL, &names, WorkloadKind::of)?;
    if args.spaces == 0 {
        return Err(Failure::bad_input("0 spaces", "programs need a space to run in; give 1 or more"));
    }
    let params = Params { cpus: args.cpus, spaces: args.spaces, seed: args.seed };
    let mut out = anstream::stdout().lock();
    if !args.json {
        writeln!(out, "{} CPUs, {} spaces, seed {}. {LEGEND}", args.cpus, args.spaces, args.seed)?;
    }
    let bar = bar(policies.len() * workloads.len());
    let mut all = Vec::new();
    for workload in workloads {
        let mut rows = Vec::new();
        for &policy in &policies {
            bar.set_message(format!("{} under {}", workload.name(), policy.name()));
            rows.push(bench(policy, workload, params));
            bar.inc(1);
        }
        if !args.json {
            bar.suspend(|| lab_table::workload(&mut out, &rows))?;
        }
        all.extend(rows);
    }
    bar.finish_and_clear();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&Report { rows: &all }).map_err(io::Error::from)?)?;
    } else {
        writeln!(out, "\n{}", verdict(&all))?;
    }
    Ok(ExitCode::from(if all.iter().all(Row::is_as_promised) { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

fn bar(runs: usize) -> ProgressBar {
    let bar = ProgressBar::new(runs as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Says what the judge found.
fn verdict(rows: &[Row]) -> String {
    let bad: Vec<&Row> = rows.iter().filter(|row| !row.is_as_promised()).collect();
    match bad.first() {
        None => "No safe policy let a stale translation be used.".into(),
        Some(row) => format!(
            "NOT AS PROMISED: {} under {}: {} uses of stale translations, {} CPUs that wait for ever",
            row.workload, row.policy, row.totals.violations, row.stuck
        ),
    }
}
