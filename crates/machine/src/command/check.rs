use super::args::Args;
use super::{AS_EXPECTED, Failure, NOT_AS_EXPECTED, chosen, count, width};
use crate::case::Variant;
use crate::sketch::{Checked, Sketch};
use crate::watchdog;
use shootdown_explore::{Memory, Options, Verdict};
use std::collections::BTreeMap;
use std::io::Write;

/// Visits every execution of both variants of each sketch.
///
/// # Errors
/// A name that no sketch has, output that cannot be written.
pub fn check(args: &Args, sketches: &[Sketch], out: &mut impl Write) -> Result<u8, Failure> {
    let mut sound = true;
    let twins = twins(sketches);
    for sketch in chosen(&args.names, sketches)? {
        let _named = watchdog::begin(sketch.name);
        let mut problems = sketch.problems();
        problems.extend(twins.get(sketch.name).map(|count| {
            format!("`name`: {count} models are called {:?}: give each a name of its own", sketch.name)
        }));
        if problems.is_empty() {
            sound &= match args.mutants {
                true => mutants(sketch, out)?,
                false => both(sketch, args.memory, out)?,
            };
        } else {
            sound = false;
            writeln!(out, "{}: MALFORMED", sketch.name)?;
            problems.iter().try_for_each(|problem| say(out, problem))?;
        }
    }
    Ok(if sound { AS_EXPECTED } else { NOT_AS_EXPECTED })
}

/// Names that several sketches have, and how many.
fn twins(sketches: &[Sketch]) -> BTreeMap<&'static str, usize> {
    let mut names = BTreeMap::new();
    sketches.iter().for_each(|sketch| *names.entry(sketch.name).or_insert(0) += 1);
    names.retain(|_, count| *count > 1);
    names
}

fn both(sketch: &Sketch, memory: Option<Memory>, out: &mut impl Write) -> Result<bool, Failure> {
    let memory = memory.unwrap_or(sketch.memory);
    let mut check = |variant| {
        let _named = watchdog::begin(&sketch.case_name(variant));
        let checked = sketch.check(variant, &Options { memory, ..Options::default() });
        one(&checked, memory, out).map(|()| checked)
    };
    let (broken, fixed) = (check(Variant::Broken)?, check(Variant::Fixed)?);
    let sound = broken.objections.is_empty() && fixed.objections.is_empty();
    let unreached = if sound { sketch.unreached(&fixed.report) } else { Vec::new() };
    if !unreached.is_empty() {
        say(out, &format!("Neither protocol reaches {}.", unreached.join(", ")))?;
    }
    Ok(sound)
}

/// Prints what came out of a variant, and what speaks against it.
fn one(checked: &Checked, memory: Memory, out: &mut impl Write) -> Result<(), Failure> {
    let Checked { name, cpus, report, objections, .. } = checked;
    let verdict = report.verdict.name();
    let word = if objections.is_empty() { verdict.to_owned() } else { verdict.to_uppercase() };
    let steps = report.trace.as_ref().map(|trace| format!(", {}", count(trace.steps.len(), "step")));
    let (steps, cpus) = (steps.unwrap_or_default(), count(*cpus, "CPU"));
    writeln!(out, "{name}: {word}{steps} ({cpus}, {}, {} states)", memory.name(), report.states)?;
    report.verdict.words().map_or(Ok(()), |words| say(out, words))?;
    objections.iter().try_for_each(|objection| say(out, &format!("Not as expected: {objection}")))?;
    if matches!(report.verdict, Verdict::Violates(_)) && objections.is_empty() {
        say(out, &format!("`explain {name}` shows how."))?;
    }
    Ok(())
}

fn mutants(sketch: &Sketch, out: &mut impl Write) -> Result<bool, Failure> {
    let _named = watchdog::begin(&format!("{}/fixed, a step less", sketch.name));
    let mutants = sketch.mutants();
    let steps = mutants.iter().filter(|mutant| !mutant.ordering);
    let (all, noticed) = (steps.clone().count(), steps.clone().filter(|m| m.noticed.is_some()).count());
    let said = match all {
        0 => "the fix makes no step that the broken protocol never makes".to_owned(),
        _ => format!("{noticed} of {all} steps of the fix are noticed when taken out"),
    };
    writeln!(out, "{}: {said}", sketch.name)?;
    for mutant in mutants.iter().filter(|mutant| mutant.noticed.is_none() && mutant.argued.is_none()) {
        say(out, &format!("It holds without {} ({}).", mutant.name, mutant.place))?;
    }
    Ok(true)
}

/// Prints a paragraph below the line that it belongs to.
fn say(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    let options = textwrap::Options::new(width()).initial_indent("  ").subsequent_indent("  ");
    writeln!(out, "{}", textwrap::fill(text, options))?;
    Ok(())
}
