//! `shootdown bench --grid`: every workload on every shape, and the cells that the engine loses.

use anstyle::{AnsiColor, Style};
use indicatif::HumanCount;
use serde::Serialize;
use shootdown_bench::grid::{Cell, SEEDS, SHAPES, Shape, grid};
use shootdown_bench::losses::{Counted, Group, Loss, groups, losses};
use shootdown_bench::policy::PolicyKind;
use shootdown_bench::workload::WorkloadKind;
use std::io::{self, Write};
use std::process::ExitCode;

use super::policies::bar;
use crate::args::BenchArgs;
use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED};
use crate::output::{counted, fill, width, wrapping};

/// What `--grid --json` prints.
#[derive(Serialize)]
struct Found<'a> {
    cells: &'a [Cell],
    losses: &'a [Loss],
    /// The losses by workload, rival and count, with what was counted.
    groups: &'a [Group],
    /// Losses in IPIs, and cells where `linux-x86` takes over 2 % fewer cycles.
    lost_in_ipis: usize,
    lost_in_cycles: usize,
    /// Losses for which no reason has been found.
    unexplained: usize,
}

/// Runs the grid.
///
/// # Errors
/// A shape that the grid does not have; output that cannot be written.
pub fn run(args: &BenchArgs, workloads: &[WorkloadKind]) -> Result<ExitCode, Failure> {
    let shapes = shapes(args)?;
    let bar = bar(workloads.len() * shapes.len() * SEEDS.len());
    let cells = grid(workloads, &shapes, || bar.inc(1));
    bar.finish_and_clear();
    let losses = losses(&cells);
    let lost = |counted| losses.iter().filter(|loss| loss.counted == counted).count();
    let found = Found {
        cells: &cells,
        losses: &losses,
        groups: &groups(&cells, &losses),
        lost_in_ipis: lost(Counted::Ipis),
        lost_in_cycles: lost(Counted::Cycles),
        unexplained: losses.iter().filter(|loss| loss.reason.is_none()).count(),
    };
    let mut out = anstream::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&found).map_err(io::Error::from)?)?,
        false => print(&mut out, &found, &shapes)?,
    }
    let promised = cells.iter().flat_map(|cell| &cell.costs).all(|cost| cost.as_promised);
    Ok(ExitCode::from(if promised { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

/// The shapes of the grid that `--cpus` and `--spaces` leave.
fn shapes(args: &BenchArgs) -> Result<Vec<Shape>, Failure> {
    let (cpus, spaces) = args.shape();
    let fits = |shape: &Shape| {
        cpus.is_none_or(|cpus| cpus == shape.cpus) && spaces.is_none_or(|spaces| spaces == shape.spaces)
    };
    let shapes: Vec<Shape> = SHAPES.into_iter().filter(fits).collect();
    if !shapes.is_empty() {
        return Ok(shapes);
    }
    let asked = |number: Option<u32>, of: &str| number.map(|number| format!("{number} {of}"));
    let asked: Vec<String> = [asked(cpus, "CPUs"), asked(spaces, "spaces")].into_iter().flatten().collect();
    let all = SHAPES.map(|shape| shape.to_string()).join(", ");
    Err(Failure::bad_input(
        format!("the grid has no shape of {}", asked.join(" and ")),
        format!("its shapes (CPUs x spaces) are {all}; leave out --grid for any other"),
    ))
}

fn print(out: &mut impl Write, found: &Found<'_>, shapes: &[Shape]) -> io::Result<()> {
    let head = format!(
        "{} x {} a workload. IPIs, cycles: the engine's over those of linux-x86, on all cells. held: cycles that a \
         frame waits, the engine and linux-x86. lost: (cell, safe policy) where that policy sends fewer IPIs; cells where \
         linux-x86 takes over 2 % fewer cycles.",
        counted(shapes.len() as u64, "shape"),
        counted(SEEDS.len() as u64, "seed")
    );
    writeln!(out, "{}\n", fill(&head))?;
    let dim = Style::new().dimmed();
    writeln!(
        out,
        "{dim}{:18}{:>6}{:>9}{:>8}{:>10}{:>9}{:>10}{:>10}{dim:#}",
        "", "cells", "IPIs", "cycles", "held", "linux", "lost IPIs", "cycles"
    )?;
    for cells in found.cells.chunk_by(|a, b| a.workload == b.workload) {
        line(out, cells, found.losses)?;
    }
    writeln!(
        out,
        "\nLosing cells: {} in IPIs, {} of {} in cycles; {} without a reason.",
        found.lost_in_ipis,
        found.lost_in_cycles,
        found.cells.len(),
        found.unexplained
    )?;
    named(out, found)
}

/// One workload's line.
fn line(out: &mut impl Write, cells: &[Cell], losses: &[Loss]) -> io::Result<()> {
    let workload = cells[0].workload;
    let of = |policy: PolicyKind, part: fn(&shootdown_bench::grid::Cost) -> f64| -> f64 {
        let costs = cells.iter().flat_map(|cell| &cell.costs).filter(|cost| cost.policy == policy.name());
        costs.map(part).sum()
    };
    let ratio = |part| {
        let (ours, linux) = (of(PolicyKind::Shootdown, part), of(PolicyKind::LinuxX86, part));
        if linux > 0.0 { format!("{:.2} x", ours / linux) } else { format!("{ours:.0}:0") }
    };
    let held = |policy| format!("{:.0}", of(policy, |cost| cost.held) / cells.len() as f64);
    let lost = |counted| {
        let of = losses.iter().filter(|loss| loss.workload == workload && loss.counted == counted);
        of.count()
    };
    writeln!(
        out,
        "{workload:18}{:>6}{:>9}{:>8}{:>10}{:>9}{:>10}{:>10}{}",
        cells.len(),
        ratio(|cost| cost.ipis as f64),
        ratio(|cost| cost.cycles as f64),
        held(PolicyKind::Shootdown),
        held(PolicyKind::LinuxX86),
        lost(Counted::Ipis),
        lost(Counted::Cycles),
        if cells.iter().all(|cell| cell.flushes == 0) {
            "\n  (no flush: IPIs and held say nothing)"
        } else {
            ""
        }
    )
}

/// Names the cells that are lost, those of one workload and rival together.
fn named(out: &mut impl Write, found: &Found<'_>) -> io::Result<()> {
    for group in found.groups {
        let style = AnsiColor::Yellow.on_default();
        let Group { counted, workload, rival, lost, cells, reason, evidence, .. } = group;
        writeln!(
            out,
            "\n{style}{workload} to {rival}, {}:{style:#} {lost} of {}",
            counted.name(),
            crate::output::counted(*cells as u64, "cell")
        )?;
        let named: Vec<String> = found.losses.iter().filter(|loss| group.holds(loss)).map(cell).collect();
        let options = wrapping(width()).initial_indent("  ").subsequent_indent("  ");
        let reason = reason.unwrap_or("the reason has not been found");
        for text in [named.join(", "), format!("Why: {reason}."), format!("Counted: {evidence}.")] {
            writeln!(out, "{}", textwrap::fill(&text, &options))?;
        }
    }
    Ok(())
}

fn cell(loss: &Loss) -> String {
    let count = |n: u64| HumanCount(n).to_string();
    format!("{}/{} {}:{}", loss.shape, loss.seed, count(loss.ours), count(loss.theirs))
}
