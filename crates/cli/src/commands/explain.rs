use anstyle::Style;
use shootdown_cases::bugs::Bug;
use shootdown_explore::{Memory, Report, Verdict};
use shootdown_machine::{Case, Expected, Kind};
use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::ExplainArgs;
use crate::catalogue;
use crate::commands::guide::Guide;
use crate::commands::museum;
use crate::draw::columns::{self, Look};
use crate::failure::{Failure, INTERRUPTED, NOT_AS_EXPECTED, UNPROVED, tell};
use crate::interrupt::Interrupt;
use crate::names;
use crate::output::{counted, fill, machine, seconds, width, wrapping};
use crate::replay_file;
use crate::select::find;

/// Lines of prose longer than this are hard to read.
const PROSE: usize = 88;

/// Runs `shootdown explain`.
///
/// # Errors
/// Input that cannot be used, or output that cannot be written.
pub fn explain(args: &ExplainArgs, bugs: &[Bug]) -> Result<ExitCode, Failure> {
    match &args.name {
        Some(name) => explain_one(args, name, bugs),
        None => museum::all(args, bugs),
    }
}

fn explain_one(args: &ExplainArgs, name: &str, bugs: &[Bug]) -> Result<ExitCode, Failure> {
    let removed = args.removal.removed();
    let cases = catalogue::cases(bugs, removed);
    let removed = removed.map(|removed| removed.name.as_str());
    let case = find(&cases, name).map_err(|failure| failure.with_removed(removed))?;
    args.limits.afford_workers()?;
    museum::can_write(args)?;
    let memory = args.limits.memory_for(case.memory);
    let mut out = anstream::stdout();
    if !args.text {
        write!(out, "{}", header(case, memory, width()))?;
        if let Some(removed) = removed {
            writeln!(out, "{removed} is removed from the engine in this run.\n")?;
        }
        out.flush()?;
    }
    let interrupt = Interrupt::on_ctrl_c();
    let guide = Guide { limits: &args.limits, all_findings: args.all_findings, interrupt: &interrupt };
    let report = guide.run(case);
    match (&report.trace, args.text) {
        (Some(trace), true) => {
            write!(io::stdout(), "{}", replay_file::write(&case.name, memory, removed, trace))?;
        }
        (Some(trace), false) => {
            let look = Look { state: args.state, places: args.places, ..Look::in_width(width()) };
            let summary = fill(&summary(case.kind, &report));
            writeln!(out, "{summary}\n\n{}", columns::draw(trace, case.cpus, look))?;
            write!(out, "{}", others(&report, case.cpus, look))?;
        }
        (None, true) => tell(format_args!("no counterexample to list: {}", summary(case.kind, &report))),
        (None, false) => writeln!(out, "{}", fill(&summary(case.kind, &report)))?,
    }
    let drawn = museum::write(args, &guide, (bugs, &cases), (case, &report))?;
    let missing = !drawn || (args.text && report.trace.is_none());
    Ok(ExitCode::from(match report.verdict {
        Verdict::Stopped(_) if interrupt.came() => INTERRUPTED,
        Verdict::Stopped(_) | Verdict::Panics(_) | Verdict::Misuses(_) => NOT_AS_EXPECTED,
        Verdict::Unproved(_) => UNPROVED,
        _ => u8::from(missing) * NOT_AS_EXPECTED,
    }))
}

/// Draws all findings but the first, where all were asked for.
fn others(report: &Report, cpus: usize, look: Look) -> String {
    let count = report.findings.len();
    let mut out = String::new();
    for (at, finding) in report.findings.iter().enumerate().skip(1) {
        let (name, words) = (finding.verdict.name(), finding.verdict.words().unwrap_or_default());
        let head = format!("Finding {} of {count}, {name}: {words}", at + 1);
        let drawn = finding.trace.as_ref().map(|trace| columns::draw(trace, cpus, look));
        out += &format!("\n{}\n\n{}\n", fill(&head), drawn.unwrap_or_default());
    }
    if let Some(why) = &report.cut {
        out += &format!("\n{}\n", fill(&format!("There may be more findings: {why}.")));
    }
    out
}

/// Returns the case's name, machine, sentence and story.
fn header(case: &Case, memory: Memory, width: usize) -> String {
    let bold = Style::new().bold();
    let must = match case.expected_under(memory) {
        Expected::Holds => "must hold",
        Expected::Violates => "must violate a rule",
    };
    let (kind, variant) = (names::kind(case.kind), case.variant.name());
    let what = format!("({kind}, {variant}; {}; {must})", machine(case.cpus, memory));
    let gap = if case.name.len() + 1 + what.len() > width { "\n" } else { " " };
    let name = format!("{bold}{}{bold:#}", case.name);
    let mut header = format!("{name}{gap}{what}\n{}\n\n", prose(&case.about, width));
    if case.kind == Kind::Suspect {
        header += &format!("Suspect: a {}.\n\n", names::SUSPECT);
    }
    if !case.story.is_empty() {
        header += &format!("{}\n\n", prose(case.story, width));
    }
    header
}

/// Wraps paragraphs and list items; lines that begin with a space are drawings and stay as they are.
fn prose(text: &str, width: usize) -> String {
    let mut out = String::new();
    for paragraph in text.trim_matches('\n').split("\n\n") {
        let list = paragraph.lines().next().is_some_and(is_item);
        if !list && paragraph.lines().any(|line| line.starts_with(' ')) {
            out += paragraph;
            out.push('\n');
        } else {
            for item in items(paragraph) {
                let hanging = if is_item(&item) { "   " } else { "" };
                let options = wrapping(width.min(PROSE)).subsequent_indent(hanging);
                out += &textwrap::fill(&item, options);
                out.push('\n');
            }
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// Joins the lines of a paragraph, but for those that begin a list item.
fn items(paragraph: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in paragraph.lines() {
        match items.last_mut() {
            Some(item) if !is_item(line) => *item += &format!(" {}", line.trim_start()),
            _ => items.push(line.to_owned()),
        }
    }
    items
}

/// Whether `line` begins an item of a list: `- this`, `3. that`.
fn is_item(line: &str) -> bool {
    line.starts_with("- ") || line.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(". ")
}

/// Says in a sentence what came out.
fn summary(kind: Kind, report: &Report) -> String {
    let effort = format!("{}, {}", counted(report.states, "state"), seconds(report.elapsed.as_secs_f64()));
    let message = report.verdict.words().unwrap_or_default();
    match &report.verdict {
        Verdict::Holds => format!("Holds: all executions were visited ({effort}), and none breaks a rule."),
        Verdict::Unproved(_) => {
            format!("Not a proof ({effort}): {message}; other executions may break a rule.")
        }
        Verdict::Panics(_) => format!("No counterexample: the model panics ({effort}): {message}"),
        Verdict::Misuses(_) => {
            format!("No counterexample: the model misuses the machine ({effort}): {message}")
        }
        Verdict::Stopped(_) => format!("Stopped before all executions were visited ({effort}): {message}"),
        _ => {
            let steps =
                report.trace.as_ref().map(|trace| format!(", {}", counted(trace.steps.len() as u64, "step")));
            let more = report.findings.len().saturating_sub(1);
            let more = if more > 0 { format!(", the first of {} findings", more + 1) } else { String::new() };
            let of = if kind == Kind::Suspect { format!(", {}", names::SUSPECT) } else { String::new() };
            format!("Counterexample{of} ({effort}{}{more}): {message}", steps.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{header, prose, summary};
    use crate::testing::{bug_case, report, violation};
    use anstream::adapter::strip_str;
    use shootdown_explore::{Memory, Verdict};
    use shootdown_machine::{Case, Kind};

    #[test]
    fn the_header_tells_the_story() {
        let header = header(&bug_case("linux-x"), Memory::Tso, 80);
        insta::assert_snapshot!(strip_str(&header).to_string());
    }

    #[test]
    fn prose_and_lists_are_wrapped_but_drawings_are_kept() {
        assert_eq!(prose("one\ntwo three\n\n  a | b\n  c | d\n", 40), "one two three\n\n  a | b\n  c | d");
        assert_eq!(prose("1. one\ntwo\n2. three four", 10), "1. one two\n2. three\n   four");
        assert_eq!(prose("1. one\n   two three", 10), "1. one two\n   three", "a list is no drawing");
    }

    #[test]
    fn the_summary_says_what_was_visited() {
        assert!(
            summary(Kind::Engine, &report(Verdict::Holds))
                .starts_with("Holds: all executions were visited (0 states")
        );
        let found = summary(Kind::Bug, &violation("frame 1 is reused"));
        assert!(found.contains("1,234 states") && found.contains("3 steps") && found.ends_with("is reused"));
        let stopped = summary(Kind::Bug, &report(Verdict::Stopped("deadline".into())));
        assert!(stopped.starts_with("Stopped before"));
    }

    #[test]
    fn a_suspect_is_told_to_be_unconfirmed() {
        let suspect = Case { kind: Kind::Suspect, ..bug_case("linux-x") };
        assert!(strip_str(&header(&suspect, Memory::Tso, 80)).to_string().contains("as read, unconfirmed."));
        let found = summary(Kind::Suspect, &violation("frame 1 is reused"));
        assert!(found.starts_with("Counterexample, model of the code as read, unconfirmed ("), "{found}");
    }
}
