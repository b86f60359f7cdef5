//! The page.

use super::measure::Report;
use super::plots;
use crate::bench::Row;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .6rem;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}.ours{background:#e8f5ec}.missed{color:#a33}.reached{color:#063}\
.aims td{text-align:left;vertical-align:top}svg{max-width:100%;height:auto}";

/// The plots of the page, by the name of a file.
pub fn pictures(report: &Report) -> [(&'static str, String); 2] {
    [("ipis.svg", plots::ipis(report)), ("transfers.svg", plots::transfers(report))]
}

/// Writes the page: tables, plots and aims, with nothing from elsewhere.
pub fn page(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>shootdown: what policies cost</title>\
         <style>{STYLE}</style></head><body>\n<h1>What policies cost</h1>\n\
         <p>Counts of a simulated machine on which the shipped engine runs beside models of kernels' policies. They are \
         the same on every host. CAVEATS.md says what the models leave out.</p>\n"
    );
    aims(&mut out, report);
    let _ = writeln!(
        out,
        "<h2>Over CPUs</h2>\n{}\n<h2>Over targets</h2>\n{}",
        plots::ipis(report),
        plots::transfers(report)
    );
    out.push_str("<h2>Workloads</h2>\n");
    for rows in report.rows.chunk_by(|a, b| a.workload == b.workload) {
        workload(&mut out, rows);
    }
    conflicts(&mut out, report);
    out.push_str("</body></html>\n");
    out
}

fn aims(out: &mut String, report: &Report) {
    out.push_str(
        "<h2>Aims</h2>\n<p>The engine as it comes, and with <code>OnLeave::KeepBit</code> (shootdown-keep below).</p>\n\
         <table class=\"aims\"><tr><th>aim</th><th></th><th>measured</th><th>missed by</th><th>why</th>\
         <th>bits kept</th></tr>\n",
    );
    for figure in &report.figures {
        let kept = &figure.kept;
        let apart = if kept.reached { "" } else { ", missed by " };
        let _ = writeln!(
            out,
            "<tr><td>{}</td>{}<td>{}</td><td>{}</td><td>{}</td><td>{}: {}{apart}{}</td></tr>",
            escaped(figure.aim),
            verdict(figure.found.reached),
            escaped(&figure.found.measured),
            escaped(&figure.found.missed_by),
            escaped(&figure.why),
            word(kept.reached),
            escaped(&kept.measured),
            escaped(&kept.missed_by)
        );
    }
    out.push_str("</table>\n");
}

fn verdict(reached: bool) -> String {
    format!("<td class=\"{0}\">{0}</td>", word(reached))
}

fn word(reached: bool) -> &'static str {
    if reached { "reached" } else { "missed" }
}

fn workload(out: &mut String, rows: &[Row]) {
    let Some(first) = rows.first() else { return };
    let _ = writeln!(
        out,
        "<h3>{}: {} flushes, {} CPUs, {} spaces, seed \
         {}</h3>\n<table><tr><th>policy</th><th>IPIs</th><th>each flush</th><th>merged</th><th>to \
         idle</th><th>useless</th><th>broadcasts</th><th>full</th><th>selective</th><th>lost</th><th>refills</th><th>lines \
         a flush</th><th>lines a switch</th><th>instructions</th><th>handler</th><th>cycles \
         held</th><th>stale</th></tr>",
        first.workload, first.totals.flush.operations, first.cpus, first.spaces, first.seed
    );
    for row in rows {
        let (t, r) = (&row.totals, &row.rates);
        let class = if row.policy == "shootdown" { " class=\"ours\"" } else { "" };
        let _ = write!(
            out,
            "<tr{class}><td>{}</td><td>{}</td><td>{:.2}</td>",
            row.policy, t.sent, r.ipis_per_flush
        );
        for count in [
            t.merged,
            t.to_idle,
            t.useless,
            t.broadcasts,
            t.full_flushes,
            t.selective_flushes,
            t.lost,
            t.refills,
        ] {
            let _ = write!(out, "<td>{count}</td>");
        }
        let _ = writeln!(
            out,
            "<td>{:.1}</td><td>{:.2}</td><td>{:.0}</td><td>{:.0}</td><td>{:.0}</td><td>{}</td></tr>",
            r.transfers_per_flush,
            r.transfers_per_switch,
            r.instructions_per_flush,
            r.instructions_per_ipi,
            r.cycles_held,
            t.violations
        );
    }
    out.push_str("</table>\n");
    operations(out, rows);
}

/// A table for each policy: what each kind of operation costs the CPU that carries it out.
fn operations(out: &mut String, rows: &[Row]) {
    out.push_str("<details><summary>by operation</summary>\n");
    for row in rows {
        let _ = writeln!(
            out,
            "<table><tr><th>{}</th><th>times</th><th>IPIs each</th><th>lines each</th><th>instructions each</th></tr>",
            row.policy
        );
        for (operation, spent) in row.totals.operations.iter() {
            let each = |count: u64| count as f64 / spent.times as f64;
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{:.2}</td><td>{:.2}</td><td>{:.1}</td></tr>",
                operation.name(),
                spent.times,
                each(spent.ipis),
                each(spent.transfers),
                each(spent.instructions)
            );
        }
        out.push_str("</table>\n");
    }
    out.push_str("</details>\n");
}

fn conflicts(out: &mut String, report: &Report) {
    out.push_str(
        "<h2>Pairs of operations that commute and share a written line</h2>\n<table><tr><th>pair</th><th>relation</th>\
         <th>bystanders</th><th>lines</th></tr>\n",
    );
    for pair in report.pairs.iter().filter(|pair| pair.shared_lines > 0) {
        let _ = writeln!(
            out,
            "<tr><td>{}, {}</td><td>{:?}</td><td>{}</td><td>{}</td></tr>",
            pair.first, pair.second, pair.relation, pair.bystanders, pair.shared_lines
        );
    }
    out.push_str("</table>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
