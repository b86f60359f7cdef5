use anstyle::AnsiColor;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shootdown_bench::bench::{Row, bench};
use shootdown_bench::grid::{SHAPES, grid};
use shootdown_bench::policy::PolicyKind;
use shootdown_bench::report::{Figure, Report, page, pictures, report};
use shootdown_bench::workload::{Params, WorkloadKind};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::bench_table::{self, LEGEND};
use crate::args::BenchArgs;
use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED};
use crate::files::{probe, unwritable};
use crate::output::{counted, fill, width, wrapping};
use crate::replace::replace;
use crate::truth;

/// What `shootdown bench --json` prints for chosen policies or workloads.
#[derive(Serialize)]
struct Rows<'a> {
    rows: &'a [Row],
}

/// Runs `shootdown bench`: policies under workloads.
///
/// # Errors
/// A policy or workload that does not exist; output that cannot be written.
pub fn policies(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let policies = bench_table::policies(&args.policy, &PolicyKind::ALL)?;
    let names: Vec<_> =
        WorkloadKind::ALL.map(WorkloadKind::name).into_iter().chain(WorkloadKind::GROUPS).collect();
    let workloads =
        bench_table::chosen("workload", &args.workload, &WorkloadKind::ALL, &names, WorkloadKind::of)?;
    if args.grid {
        return super::bench_grid::run(args, &workloads);
    }
    let (cpus, spaces, seed) = (args.cpus(), args.spaces().min(args.cpus().number()), args.seed());
    let params = Params { cpus, spaces, seed };
    let whole = args.policy.is_empty() && args.workload.is_empty();
    let folder = if whole { Some(report_folder(args)?) } else { None };
    let mut out = anstream::stdout().lock();
    if !args.json {
        let head = format!(
            "{}, {}, seed {seed}. {LEGEND}{}",
            counted(cpus.number(), "CPU"),
            counted(spaces, "space"),
            remark(args)
        );
        writeln!(out, "{}", fill(&head))?;
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
            bar.suspend(|| bench_table::workload(&mut out, &rows))?;
            if args.operations {
                bar.suspend(|| rows.iter().try_for_each(|row| bench_table::operations(&mut out, row)))?;
            }
        }
        all.extend(rows);
    }
    bar.set_message("single flushes, pairs of operations, a grid of machines");
    let (promised, verdict) = (all.iter().all(Row::is_as_promised), verdict(&all));
    let json = if let Some(folder) = &folder {
        let cells = grid(&WorkloadKind::ALL, &SHAPES, || ());
        let report = report(all, &cells, seed);
        let json = serde_json::to_string(&report).map_err(io::Error::from)?;
        write(folder, &report, &json)?;
        if !args.json {
            bar.suspend(|| aims(&mut out, &report))?;
        }
        json
    } else {
        serde_json::to_string(&Rows { rows: &all }).map_err(io::Error::from)?
    };
    bar.finish_and_clear();
    if args.json {
        writeln!(out, "{json}")?;
    } else {
        writeln!(out, "\n{verdict}")?;
        if let Some(folder) = &folder {
            let page = page_of(folder);
            writeln!(out, "{} has tables and plots, report.json beside it the numbers.", page.display())?;
        }
    }
    Ok(ExitCode::from(if promised { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

/// The remark about a machine of one CPU.
pub(super) const ONE_CPU: &str = "One CPU: there is nobody to tell, and IPIs say nothing.";

/// What makes the counts of this machine mean less than they seem to.
fn remark(args: &BenchArgs) -> String {
    let (cpus, spaces) = (args.cpus().number(), args.spaces());
    match (cpus, spaces > cpus) {
        (1, _) => format!(" {ONE_CPU}"),
        (_, true) => format!(" {spaces} spaces were asked for; at most one for each CPU is used."),
        _ => String::new(),
    }
}

/// The folder that the report goes to; it is there, and can be written to.
fn report_folder(args: &BenchArgs) -> Result<PathBuf, Failure> {
    let folder = match (&args.report, truth::checkout()) {
        (Some(folder), _) => folder.clone(),
        (None, Some(checkout)) => checkout.join("target/report"),
        (None, None) => {
            return Err(Failure::bad_input(
                "no checkout of the project is here to write the report to",
                "give --report DIR, or name a --policy or --workload, which writes none",
            ));
        }
    };
    std::fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
    probe(&page_of(&folder))?;
    Ok(folder)
}

fn page_of(folder: &Path) -> PathBuf {
    folder.join("index.html")
}

fn write(folder: &Path, report: &Report, json: &str) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    replace(&folder.join("report.json"), json.as_bytes())?;
    for (name, plot) in pictures(report) {
        replace(&folder.join(name), plot.as_bytes())?;
    }
    replace(&page_of(folder), page(report).as_bytes())
}

/// Prints what was aimed at, and what came out.
fn aims(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out)?;
    for Figure { aim, found, why, exact } in &report.figures {
        let style = if found.reached { AnsiColor::Green } else { AnsiColor::Yellow }.on_default();
        let word = if found.reached { "reached" } else { "missed " };
        let mut text = format!("{aim}: {}", found.measured);
        if !found.reached {
            let exact = if exact.reached { exact.measured.as_str() } else { "missed as well" };
            text += &format!(". By: {}. Why: {why}. With `OnLeave::RemoveBit`: {exact}", found.missed_by);
        }
        let text = textwrap::fill(&text, wrapping(width()).subsequent_indent("         "));
        writeln!(out, "{style}{word}{style:#}  {text}")?;
    }
    Ok(())
}

pub(super) fn bar(runs: usize) -> ProgressBar {
    let bar = ProgressBar::new(runs as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Says what the staleness check found.
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
