//! The page.

use super::figures::Figure;
use super::lost::{lost, tried};
use super::measure::Report;
use super::plots;
use super::text::{coded, escaped};
use crate::bench::Row;
use crate::machine::COSTS;
use std::fmt::Write;

/// Narrow screens scroll tables sideways; plots take the colours of the page, light or dark.
const STYLE: &str = ":root{color-scheme:light dark;--text:#222;--page:#fff;--line:#ddd;--ours:#e8f5ec;--bad:#a33;--good:#063}\
@media(prefers-color-scheme:dark){:root{--text:#ddd;--page:#161a1d;--line:#3a4045;--ours:#17372a;--bad:#f09a8a;--good:#8fd6a8}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:1.5rem auto;padding:0 1rem;color:var(--text);background:var(--page)}\
.scroll{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
td,th{padding:.15rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}\
td:first-child,th:first-child{text-align:left}.ours{background:var(--ours)}.missed{color:var(--bad)}.reached{color:var(--good)}\
ul{padding-left:1.2rem}li{margin:.5rem 0}details{color:inherit}summary{cursor:pointer}\
svg{display:block;width:100%;max-width:40rem;height:auto;margin:1rem 0}\
@media(max-width:44rem){td,th{padding:.15rem .3rem;font-size:.85rem}th{white-space:normal}}\
svg text{fill:currentColor}svg rect{fill:none}svg [stroke=\"#000000\"]{stroke:currentColor}";

/// The plots of the page, by the name of a file.
pub fn pictures(report: &Report) -> [(&'static str, String); 2] {
    [("ipis.svg", plots::ipis(report)), ("transfers.svg", plots::transfers(report))]
}

/// Writes the page: what is gained, what is lost, how to read it, then tables, plots and aims. Nothing comes from
/// elsewhere.
pub fn page(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>shootdown: what policies cost</title>\
         <style>{STYLE}</style></head><body>\n<h1>What policies of TLB coherence cost</h1>\n\
         <p>Counts of a simulated machine on which the shipped engine runs beside models of kernels' policies. They are \
         the same on every host.</p>\n"
    );
    gains(&mut out, report);
    lost(&mut out, report);
    model(&mut out);
    let [ipis, transfers, cycles] = [plots::ipis, plots::transfers, plots::cycles].map(|plot| plot(report));
    let _ = writeln!(out, "<h2>Over CPUs</h2>\n{ipis}\n<h2>Over targets</h2>\n{transfers}\n{cycles}");
    aims(&mut out, report);
    tried(&mut out);
    out.push_str("<h2>Workloads</h2>\n");
    for rows in report.rows.chunk_by(|a, b| a.workload == b.workload) {
        workload(&mut out, rows);
    }
    conflicts(&mut out, report);
    out.push_str("</body></html>\n");
    out
}

/// A count of a workload that is compared: its column, and its value.
type Column = (&'static str, fn(&Row) -> f64);

const COMPARED: [Column; 4] = [
    ("IPIs", |row| row.totals.sent as f64),
    ("cycles", |row| row.totals.cycles as f64),
    ("cycles held", |row| row.rates.cycles_held),
    ("refills", |row| row.totals.refills as f64),
];

/// The engine beside Linux, workload by workload.
fn gains(out: &mut String, report: &Report) {
    let machine = report.rows.first().map(|row| (row.cpus, row.spaces, row.seed)).unwrap_or_default();
    let _ = write!(
        out,
        "<h2>What you gain</h2>\n<p>The engine's count in percent of that of <code>linux-x86</code>: below 100 it takes \
         less. {} CPUs, {} spaces, seed {}.</p>\n<div class=\"scroll\"><table><tr><th>workload</th>",
        machine.0, machine.1, machine.2
    );
    COMPARED.iter().for_each(|(name, _)| _ = write!(out, "<th>{name}</th>"));
    out.push_str("</tr>\n");
    for rows in report.rows.chunk_by(|a, b| a.workload == b.workload) {
        let of = |name| rows.iter().find(|row| row.policy == name);
        let (Some(ours), Some(linux)) = (of("shootdown"), of("linux-x86")) else { continue };
        let _ = write!(out, "<tr><td>{}</td>", ours.workload);
        COMPARED.iter().for_each(|(_, count)| out.push_str(&share(count(ours), count(linux))));
        out.push_str("</tr>\n");
    }
    out.push_str("</table></div>\n");
}

fn share(ours: f64, theirs: f64) -> String {
    match (ours, theirs) {
        (0.0, 0.0) => "<td>none</td>".into(),
        (_, 0.0) => format!("<td class=\"missed\">{ours:.0} to 0</td>"),
        _ => {
            let percent = (100.0 * ours / theirs).round();
            let class = if percent < 100.0 {
                "reached"
            } else if percent > 102.0 {
                "missed"
            } else {
                ""
            };
            format!("<td class=\"{class}\">{percent:.0} %</td>")
        }
    }
}

/// What the counts mean, and the prices behind them.
fn model(out: &mut String) {
    out.push_str(
        "<h2>How to read it</h2>\n<p>The machine runs one event at a time. Cache lines follow MESI and are never evicted; a \
         transfer is an access that another cache must answer. <b>Instructions are counted by the table below</b>: some for \
         each access to a shared word, some for each call. They show how work grows with targets and CPUs. What a compiler \
         makes of the source is another number, which <code>cargo xtask counts</code> and <code>shootdown boot --count</code> \
         give: QEMU counts every instruction of a real kernel, entry and exit of its interrupt included, so its figures are \
         two to four times as high. Models of kernels touch the words that their descriptions name and no others, which \
         flatters them: the engine's accesses are those of the shipped code, statistics and all. But for <code>numa-balancing</code> all lines cost the same \
         wherever their holder is, which flatters policies that share words across nodes.</p>\n\
         <details><summary>Prices</summary><div class=\"scroll\"><table><tr><th>step</th><th>price</th></tr>\n",
    );
    let prices = serde_json::to_value(COSTS).unwrap_or_default();
    for (step, price) in prices.as_object().into_iter().flatten() {
        let unit = if step.ends_with("instructions") { "" } else { " cycles" };
        let _ = writeln!(out, "<tr><td>{}</td><td>{price}{unit}</td></tr>", step.replace('_', " "));
    }
    out.push_str("</table></div></details>\n");
}

fn aims(out: &mut String, report: &Report) {
    out.push_str(
        "<h2>Aims</h2>\n<p>The engine as it comes, and with <code>OnLeave::RemoveBit</code> (shootdown-exact below).</p>\n<ul>\n",
    );
    for Figure { aim, found, why, exact } in &report.figures {
        let _ = writeln!(
            out,
            "<li>{}: <b>{}</b>.<br>{}.{}<br>Exact masks: {}.</li>",
            verdict(found.reached),
            escaped(aim),
            escaped(&found.measured),
            missed(&format!("{}. {}", found.missed_by, why), found.reached),
            escaped(&exact.measured)
        );
    }
    out.push_str("</ul>\n");
}

/// By how much an aim is missed, and why.
fn missed(text: &str, reached: bool) -> String {
    if reached { String::new() } else { format!("<br>Missed by {}.", coded(text)) }
}

fn verdict(reached: bool) -> String {
    let word = if reached { "reached" } else { "missed" };
    format!("<span class=\"{word}\">{word}</span>")
}

fn workload(out: &mut String, rows: &[Row]) {
    let Some(first) = rows.first() else { return };
    let _ = writeln!(
        out,
        "<h3>{}: {} flushes, {} CPUs, {} spaces, seed \
         {}</h3>\n<div class=\"scroll\"><table><tr><th>policy</th><th>IPIs</th><th>each flush</th><th>merged</th><th>to \
         idle</th><th>useless</th><th>broadcasts</th><th>full</th><th>selective</th><th>lost</th><th>refills</th><th>lines \
         a flush</th><th>lines a switch</th><th>instructions</th><th>handler</th><th>cycles</th><th>cycles held</th><th>stale</th></tr>",
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
            "<td>{:.1}</td><td>{:.2}</td><td>{:.0}</td><td>{:.0}</td><td>{}</td><td>{:.0}</td><td>{}</td></tr>",
            r.transfers_per_flush,
            r.transfers_per_switch,
            r.instructions_per_flush,
            r.instructions_per_ipi,
            t.cycles,
            r.cycles_held,
            t.violations
        );
    }
    out.push_str("</table></div>\n");
    operations(out, rows);
}

/// A table for each policy: what each kind of operation costs the CPU that carries it out.
fn operations(out: &mut String, rows: &[Row]) {
    out.push_str("<details><summary>by operation</summary>\n");
    for row in rows {
        let _ = writeln!(
            out,
            "<div class=\"scroll\"><table><tr><th>{}</th><th>times</th><th>IPIs each</th><th>lines each</th><th>instructions each</th></tr>",
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
        out.push_str("</table></div>\n");
    }
    out.push_str("</details>\n");
}

fn conflicts(out: &mut String, report: &Report) {
    out.push_str(
        "<h2>Pairs of operations that commute and share a written line</h2>\n<div class=\"scroll\"><table><tr><th>pair</th><th>relation</th>\
         <th>bystanders</th><th>lines</th></tr>\n",
    );
    for pair in report.pairs.iter().filter(|pair| pair.shared_lines > 0) {
        let _ = writeln!(
            out,
            "<tr><td>{}, {}</td><td>{:?}</td><td>{}</td><td>{}</td></tr>",
            pair.first, pair.second, pair.relation, pair.bystanders, pair.shared_lines
        );
    }
    out.push_str("</table></div>\n");
}
