use super::args::Args;
use super::{AS_EXPECTED, Failure, NOT_AS_EXPECTED, chosen, colours, count, page, width};
use crate::case::Variant;
use crate::draw::columns::{self, Look};
use crate::sketch::Sketch;
use crate::watchdog;
use shootdown_explore::{Options, Verdict};
use std::fs;
use std::io::Write;

/// Draws the execution of a model that fails.
///
/// # Errors
/// A name that no sketch has, a page that cannot be written, output that cannot be written.
pub fn explain(args: &Args, sketches: &[Sketch], out: &mut impl Write) -> Result<u8, Failure> {
    let (sketch, name) = (chosen(&args.names, sketches)?[0], &args.names[0]);
    let variant = match name.strip_prefix(sketch.name) {
        Some("" | "/broken") => Variant::Broken,
        Some("/fixed") => Variant::Fixed,
        _ => {
            let said = format!("there is no {name:?}; there are: {0}/broken, {0}/fixed", sketch.name);
            return Err(Failure::Input(said));
        }
    };
    let memory = args.memory.unwrap_or(sketch.memory);
    let _named = watchdog::begin(name);
    let checked = sketch.check(variant, &Options { memory, ..Options::default() });
    let (report, cpus) = (&checked.report, checked.cpus);
    let machine = format!("{}, {}", count(cpus, "CPU"), memory.name());
    writeln!(out, "{} ({machine}): {}", checked.name, report.verdict.name())?;
    if !sketch.about.is_empty() {
        writeln!(out, "{}", textwrap::fill(sketch.about, width()))?;
    }
    let Some(trace) = &report.trace else {
        let words = report.verdict.words().unwrap_or("no execution breaks a rule");
        writeln!(out, "\nThere is nothing to draw: {}", textwrap::fill(words, width()))?;
        let as_expected = report.verdict == Verdict::Holds && args.html.is_none();
        return Ok(if as_expected { AS_EXPECTED } else { NOT_AS_EXPECTED });
    };
    let look = Look { state: args.state, places: args.places, colours: colours(), ..Look::in_width(width()) };
    writeln!(out, "\n{}", columns::draw(trace, cpus, look))?;
    if let Some(path) = &args.html {
        let text = page::page(sketch, &checked, trace, memory);
        fs::write(path, text).map_err(|error| {
            Failure::Input(format!(
                "cannot write {}: {error}; give --html a file in a folder that is there",
                path.display()
            ))
        })?;
    }
    let mistake = matches!(report.verdict, Verdict::Panics(_) | Verdict::Misuses(_));
    Ok(if mistake { NOT_AS_EXPECTED } else { AS_EXPECTED })
}
