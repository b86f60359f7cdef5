//! The execution as a page of its own: a column for each CPU, each step with its line, and the source. The pages about
//! the bugs of the bugs, which can be stepped through, are the command's (`shootdown explain --html`); this one needs
//! no other package.

use super::count;
use crate::draw::{headings, lanes};
use crate::sketch::{Checked, Sketch};
use crate::sources::{SOURCES, file_name};
use shootdown_explore::{Memory, Step, Trace};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:1rem/1.45 system-ui,sans-serif;max-width:80rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}.scroll{overflow-x:auto}th,td{text-align:left;vertical-align:top;padding:.15rem .6rem}
td{border-left:1px solid GrayText}code,pre,td{font-family:ui-monospace,monospace;font-size:.875rem}
.note{font-weight:bold;display:block}.outcome,.runs{font-weight:bold}small{display:block}ol{padding-left:3.5rem;overflow-x:auto}
li{white-space:pre}";

/// Renders the execution `trace` of a sketch.
pub fn page(sketch: &Sketch, checked: &Checked, trace: &Trace, memory: Memory) -> String {
    let name = escape(&checked.name);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{name}</title><style>{STYLE}</style></head><body><main>\n<h1>{name}</h1>\n\
         <p>{}</p><p>{}, {}; {}, the shortest execution that fails.</p>\n",
        escape(sketch.about),
        count(checked.cpus, "CPU"),
        memory.name(),
        count(trace.steps.len(), "step")
    );
    steps(&mut out, sketch, trace, lanes(trace, checked.cpus));
    for (file, text) in shown(sketch, trace) {
        source(&mut out, (file, text), trace);
    }
    out += "</main></body></html>\n";
    out
}

fn steps(out: &mut String, sketch: &Sketch, trace: &Trace, lanes: usize) {
    *out += "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Steps\"><table><thead><tr><th>Step</th>";
    (0..lanes).for_each(|cpu| *out += &format!("<th>CPU {cpu}</th>"));
    *out += "</tr></thead><tbody>\n";
    for ((at, step), note) in trace.steps.iter().enumerate().zip(headings(trace, lanes)) {
        let _ = write!(out, "<tr><th>{}</th>", at + 1);
        for cpu in 0..lanes {
            let cell = if cpu == step.mov.cpu { cell(sketch, step, note) } else { String::new() };
            let _ = write!(out, "<td>{cell}</td>");
        }
        *out += "</tr>\n";
    }
    let _ = writeln!(out, "</tbody></table></div><p class=\"outcome\">✗ {}</p>", escape(&trace.outcome));
}

fn cell(sketch: &Sketch, step: &Step, note: Option<&str>) -> String {
    let note = note.map(|note| format!("<span class=\"note\">{}</span>", escape(note))).unwrap_or_default();
    let place = step.place.map(|place| {
        let (file, line) = (file_name(place), place.line());
        let code = text_of(sketch, file).and_then(|text| text.lines().nth(line as usize - 1));
        format!("<small>{}:{line} {}</small>", escape(file), escape(code.unwrap_or_default().trim()))
    });
    format!("{note}{}{}", escape(&step.text), place.unwrap_or_default())
}

/// The sketch's files, and those of this package in which the execution makes a step.
fn shown<'s>(sketch: &'s Sketch, trace: &Trace) -> Vec<&'s (&'static str, &'static str)> {
    let entered = |file: &str| trace.steps.iter().filter_map(|step| step.place).any(|p| file_name(p) == file);
    let shared = SOURCES.iter().filter(|(file, _)| entered(file));
    sketch.code.iter().chain(shared).collect()
}

fn source(out: &mut String, (file, text): (&str, &str), trace: &Trace) {
    let places = trace.steps.iter().filter_map(|step| step.place).filter(|place| file_name(place) == file);
    let runs: BTreeSet<usize> = places.map(|place| place.line() as usize).collect();
    let _ = writeln!(out, "<h2>{}</h2><ol>", escape(file));
    for (at, line) in text.lines().enumerate() {
        let class = if runs.contains(&(at + 1)) { " class=\"runs\"" } else { "" };
        let _ = writeln!(out, "<li{class}><code>{}</code></li>", escape(line));
    }
    *out += "</ol>\n";
}

fn text_of(sketch: &Sketch, file: &str) -> Option<&'static str> {
    let mut all = sketch.code.iter().chain(&SOURCES);
    all.find(|(name, _)| *name == file).map(|(_, text)| *text)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
