//! What the engine loses, by reason, and what was tried against it.

use super::measure::Report;
use super::text::coded;
use crate::grid::rivals;
use crate::losses::{Counted, Group};
use std::fmt::Write;

/// The chapter that says what was tried.
const CHAPTER: &str = include_str!("../../../../docs/book/src/counts.md");

/// Names each cell of the grid that the engine loses: those of one reason together.
pub(super) fn lost(out: &mut String, report: &Report) {
    let lost = |counted| report.losses.iter().filter(|loss| loss.counted == counted).count();
    let _ = writeln!(
        out,
        "<h2>What is lost</h2>\n<p>Every workload runs on ten shapes of machines with three seeds: {} cells. A safe policy sends fewer \
         IPIs in {} of {} pairs of a cell and a policy; <code>linux-x86</code> takes over 2 % fewer cycles in {} cells. By reason:</p>",
        report.cells,
        lost(Counted::Ipis),
        report.cells * rivals().count(),
        lost(Counted::Cycles)
    );
    let mut reasons: Vec<(Counted, Option<&str>)> = Vec::new();
    for counted in [Counted::Ipis, Counted::Cycles] {
        for group in report.groups.iter().filter(|group| group.counted == counted) {
            if !reasons.contains(&(counted, group.reason)) {
                reasons.push((counted, group.reason));
            }
        }
    }
    for (counted, reason) in reasons {
        let of = |group: &&Group| (group.counted, group.reason) == (counted, reason);
        let groups: Vec<&Group> = report.groups.iter().filter(of).collect();
        let cells: usize = groups.iter().map(|group| group.lost).sum();
        let why = coded(reason.unwrap_or("The reason has not been found"));
        let _ = writeln!(out, "<h3>{cells} lost in {}</h3>\n<p>{why}.</p>\n<ul>", counted.name());
        groups.into_iter().for_each(|group| item(out, report, group));
        out.push_str("</ul>\n");
    }
}

/// One workload and rival, with all cells.
fn item(out: &mut String, report: &Report, group: &Group) {
    let Group { workload, rival, worst, .. } = *group;
    let _ = writeln!(
        out,
        "<li><b>{workload}</b> to {rival}: {} of {}, at most {} to {} ({}, seed {})<details><summary>counts and cells</summary>{}.<br>",
        group.lost,
        group.cells,
        worst.ours,
        worst.theirs,
        worst.shape,
        worst.seed,
        coded(&group.evidence)
    );
    for loss in report.losses.iter().filter(|loss| group.holds(loss)) {
        let _ = writeln!(out, "{}, seed {}: {} to {}<br>", loss.shape, loss.seed, loss.ours, loss.theirs);
    }
    out.push_str("</details></li>\n");
}

/// What was tried and counted, as the book says it.
pub(super) fn tried(out: &mut String) {
    out.push_str("<h2>What was tried</h2>\n");
    let section = CHAPTER.split("\n## ").find(|section| section.starts_with("What was tried"));
    let mut paragraphs = section.unwrap_or_default().split("\n\n").skip(1).map(str::trim);
    let _ = writeln!(out, "<p>{}</p>\n<ul>", coded(paragraphs.next().unwrap_or_default()));
    let items = paragraphs
        .flat_map(|list| list.trim_start_matches("- ").split("\n- "))
        .filter(|item| !item.is_empty());
    items.for_each(|item| _ = writeln!(out, "<li>{}</li>", coded(item)));
    out.push_str("</ul>\n");
}
