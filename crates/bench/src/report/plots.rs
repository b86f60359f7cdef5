//! Plots, as SVG.

use super::measure::{Report, SHOWN};
use plotters::prelude::*;
use std::ops::Range;

const SIZE: (u32, u32) = (760, 420);
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
    let mut lines: Lines<'_> = SHOWN[..5]
        .iter()
        .map(|policy| {
            let of = report.probes.iter().filter(|p| p.policy == policy.name() && p.cpus == 64);
            (policy.name(), of.map(|p| (f64::from(p.targets), p.transfers.max(0.01))).collect())
        })
        .collect();
    lines.push(("2k+2", [1.0, 63.0].map(|k: f64| (k, 2.0 * k + 2.0)).into()));
    plot("line transfers for one flush of one page", ["targets", "lines a flush"], lines, 1.0..64.0)
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
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(across.log_scale(), (low..high * 1.5).log_scale())?;
    chart.configure_mesh().x_desc(horizontal).y_desc(vertical).light_line_style(WHITE.mix(0.0)).draw()?;
    for ((name, points), colour) in lines.iter().zip(COLOURS) {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    let position = SeriesLabelPosition::UpperLeft;
    chart.configure_series_labels().position(position).background_style(WHITE.mix(0.8)).draw()?;
    area.present()?;
    Ok(())
}
