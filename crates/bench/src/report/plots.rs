//! Plots, as SVG.

use super::measure::{Report, SHOWN};
use crate::policy::PolicyKind;
use crate::probe::Probe;
use plotters::prelude::*;
use std::ops::Range;

const SIZE: (u32, u32) = (640, 400);
/// Powers of two, which both axes name.
const MARKS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 120, 60),
    RGBColor(200, 60, 40),
    RGBColor(150, 90, 200),
    RGBColor(230, 150, 30),
    RGBColor(60, 110, 200),
    RGBColor(120, 120, 120),
];

type Lines<'a> = Vec<(&'a str, Vec<(f64, f64)>)>;

/// IPIs for each flush over numbers of CPUs.
pub(super) fn ipis(report: &Report) -> String {
    let lines = SHOWN.map(|policy| {
        let rows = report.sweep.iter().filter(|row| row.policy == policy.name());
        let points = rows.map(|row| (f64::from(row.cpus), row.rates.ipis_per_flush.max(0.01)));
        (policy.name(), points.collect())
    });
    plot("IPIs for each flush, memcached-lazy, one space", ["CPUs", "IPIs a flush"], lines.into(), 1.0..128.0)
}

/// Line transfers for each flush over numbers of targets.
pub(super) fn transfers(report: &Report) -> String {
    let mut lines = over_targets(report, |probe| probe.transfers);
    lines.push(("2k+2", [1.0, 63.0].map(|k: f64| (k, 2.0 * k + 2.0)).into()));
    plot("cache lines moved by one flush of one page", ["targets", "lines a flush"], lines, 1.0..64.0)
}

/// Cycles for each flush over numbers of targets.
pub(super) fn cycles(report: &Report) -> String {
    let lines = over_targets(report, |probe| probe.cycles);
    plot("cycles until the frame of one page may go", ["targets", "cycles"], lines, 1.0..64.0)
}

/// A measurement of single flushes, over numbers of targets.
fn over_targets(report: &Report, count: fn(&Probe) -> f64) -> Lines<'_> {
    let line = |policy: &PolicyKind| {
        let of = report.probes.iter().filter(|p| p.policy == policy.name() && p.cpus == 64);
        (policy.name(), of.map(|p| (f64::from(p.targets), count(p).max(0.01))).collect())
    };
    SHOWN[..5].iter().map(line).collect()
}

fn plot(title: &str, axes: [&str; 2], lines: Lines<'_>, across: Range<f64>) -> String {
    let mut svg = String::new();
    // Drawing to a string fails only where a range is empty, which these are not.
    let drawn = draw(SVGBackend::with_string(&mut svg, SIZE), title, axes, &lines, across);
    drawn.map(|()| svg).unwrap_or_else(|error| format!("<p>{error}</p>"))
}

fn draw(
    backend: SVGBackend<'_>,
    title: &str,
    [horizontal, vertical]: [&str; 2],
    lines: &Lines<'_>,
    across: Range<f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let values = || lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.1));
    let (low, high) = (values().fold(1.0, f64::min), values().fold(10.0, f64::max));
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(72)
        .build_cartesian_2d(
            across.log_scale().with_key_points(MARKS.into()),
            (low..high * 1.5).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc(horizontal)
        .y_desc(vertical)
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 17))
        .x_label_formatter(&|value| format!("{value}"))
        .y_label_formatter(&|value| format!("{value}"))
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    for (at, ((name, points), colour)) in lines.iter().zip(COLOURS).enumerate() {
        // The first are wider, so that lines that lie on each other show.
        let style = colour.stroke_width(6_u32.saturating_sub(at as u32).max(2));
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    let position = SeriesLabelPosition::UpperLeft;
    let labels = ("sans-serif", 16);
    chart
        .configure_series_labels()
        .label_font(labels)
        .position(position)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    area.present()?;
    Ok(())
}
