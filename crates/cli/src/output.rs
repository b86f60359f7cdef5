//! What `check` prints: a table for people, or lines of JSON for programs.

use anstyle::{AnsiColor, Style};
use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;
use shootdown_explore::Memory;
use shootdown_machine::{Case, Expected, Kind, Variant};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};

use crate::record::{Found, Record};
use crate::shard::{End, Head};

/// Takes results as they come.
pub trait Sink {
    /// Takes that a shard's results begin.
    ///
    /// # Errors
    /// It could not be written.
    fn head(&mut self, head: &Head) -> io::Result<()> {
        let _ = head;
        Ok(())
    }

    /// Takes that a shard's results end.
    ///
    /// # Errors
    /// It could not be written.
    fn foot(&mut self, end: &End) -> io::Result<()> {
        let _ = end;
        Ok(())
    }

    /// Takes the result of one case.
    ///
    /// # Errors
    /// It could not be written.
    fn result(&mut self, record: &Record) -> io::Result<()>;

    /// Takes that there are no more.
    ///
    /// # Errors
    /// What was held back could not be written.
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Columns behind the name, with their gaps: machine, verdict, states, time.
const REST: usize = 2 + 11 + 2 + 19 + 2 + 10 + 2 + 8;

/// Prints aligned columns.
#[derive(Debug)]
pub struct Table<W> {
    out: W,
    name: usize,
    fold: Option<Fold>,
}

/// Cases that come out as expected, a line for each group of them.
#[derive(Debug, Default)]
struct Fold {
    groups: Vec<Group>,
    of: HashMap<String, usize>,
}

/// Several cases in one line.
#[derive(Debug, Default)]
struct Group {
    name: String,
    /// What each is to do, as `hold`.
    verdict: &'static str,
    cases: usize,
    ended: usize,
    as_expected: usize,
    states: u64,
    seconds: f64,
    cpus: BTreeSet<usize>,
}

impl Fold {
    fn of(cases: &[&Case]) -> Self {
        let mut fold = Self::default();
        for case in cases {
            let name = group(case);
            let at = fold.groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
                let verdict = match case.expected {
                    Expected::Holds => "hold",
                    Expected::Violates => "found",
                };
                fold.groups.push(Group { name, verdict, ..Group::default() });
                fold.groups.len() - 1
            });
            fold.groups[at].cases += 1;
            fold.groups[at].cpus.insert(case.cpus);
            fold.of.insert(case.name.clone(), at);
        }
        fold
    }

    /// Takes `record`; returns its group if that is complete now.
    fn take(&mut self, record: &Record) -> Option<&Group> {
        let group = self.of.get(&record.name).and_then(|&at| self.groups.get_mut(at))?;
        group.ended += 1;
        group.as_expected += usize::from(record.as_expected);
        group.states = group.states.saturating_add(record.states);
        group.seconds += record.seconds;
        (group.ended == group.cases).then_some(group)
    }

    /// Groups that are begun and not complete.
    fn open(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| (1..group.cases).contains(&group.ended))
    }
}

/// The group in whose line `case` goes: the first that names it, or which variant of a bug it is.
fn group(case: &Case) -> String {
    match (case.kind, case.variant) {
        (Kind::Engine, _) => format!("engine, {}", case.groups.first().unwrap_or(&"others")),
        (Kind::Bug, Variant::Fixed) => "bugs, as mended".to_owned(),
        (Kind::Bug, _) => "bugs, as published".to_owned(),
        (Kind::Suspect, Variant::Fixed) => "suspects, as mended".to_owned(),
        (Kind::Suspect, _) => "suspects, as read".to_owned(),
    }
}

impl<W: Write> Table<W> {
    /// Starts a table that will hold `cases` in lines of at most `width` characters where names allow it, with its
    /// head.
    ///
    /// # Errors
    /// The head could not be written.
    pub fn begin(out: W, cases: &[&Case], width: usize) -> io::Result<Self> {
        let longest = cases.iter().map(|case| case.name.len()).max().unwrap_or(0).max(4);
        let name = longest.min(width.saturating_sub(REST).max(20));
        Self { out, name, fold: None }.head()
    }

    /// Starts a table with one line for each group of `cases`, and one for each case that comes out otherwise than
    /// expected.
    ///
    /// # Errors
    /// The head could not be written.
    pub fn folded(out: W, cases: &[&Case]) -> io::Result<Self> {
        let fold = Fold::of(cases);
        let name = fold.groups.iter().map(|group| group.name.len()).max().unwrap_or(0).max(4);
        Self { out, name, fold: Some(fold) }.head()
    }

    fn head(mut self) -> io::Result<Self> {
        let (dim, name) = (Style::new().dimmed(), self.name);
        let head =
            format!("{:name$}  {:11}  {:19}  {:>10}  {:>8}", "name", "machine", "verdict", "states", "time");
        writeln!(self.out, "{dim}{head}{dim:#}")?;
        Ok(self)
    }

    fn row(
        &mut self,
        name: &str,
        machine: &str,
        verdict: (Style, &str),
        figures: (u64, f64),
    ) -> io::Result<()> {
        let width = self.name;
        let ((colour, verdict), (states, time)) = (verdict, figures);
        let (states, time) = (HumanCount(states).to_string(), seconds(time));
        // A name that is too long has a line for itself.
        let name =
            if name.len() > width { format!("{name}\n{:width$}", "") } else { format!("{name:width$}") };
        // `weak` is a letter longer than other models, and the verdict gives that way.
        let room = 19_usize.saturating_sub(machine.len().saturating_sub(11));
        writeln!(self.out, "{name}  {machine:11}  {colour}{verdict:room$}{colour:#}  {states:>10}  {time:>8}")
    }

    fn case(&mut self, record: &Record) -> io::Result<()> {
        let colour = match (record.as_expected, record.complete) {
            (true, _) => AnsiColor::Green.on_default(),
            (false, true) => AnsiColor::Red.on_default().bold(),
            (false, false) => AnsiColor::Yellow.on_default().bold(),
        };
        let machine = format!("{}, {}", cpus(record.cpus), record.memory);
        let figures = (record.states, record.seconds);
        self.row(&record.name, &machine, (colour, &verdict(record)), figures)?;
        record.findings.iter().enumerate().try_for_each(|(at, found)| self.finding(at + 1, found))?;
        if let Some(why) = &record.more {
            writeln!(self.out, "{}", indented(&format!("There may be more: {why}.")))?;
        }
        if !record.unreached.is_empty() {
            let lines = record.unreached.join(", ");
            writeln!(self.out, "{}", indented(&format!("Reached by no protocol of this bug: {lines}")))?;
        }
        if record.as_expected {
            return Ok(());
        }
        let told = record.objections.is_empty() && record.findings.is_empty();
        let mut lines = record.message.iter().filter(|_| told).chain(&record.objections);
        lines.try_for_each(|line| writeln!(self.out, "{}", indented(line)))
    }

    fn finding(&mut self, number: usize, found: &Found) -> io::Result<()> {
        let steps = found.steps.map_or(String::new(), |steps| format!(", {}", counted(steps, "step")));
        let text = format!("{number}. {}{steps}: {}", found.verdict, found.message);
        writeln!(self.out, "{}", indented(&text))
    }

    fn group(&mut self, group: &Group) -> io::Result<()> {
        let Group { as_expected, cases, verdict, .. } = group;
        let colour = match as_expected == cases {
            true => AnsiColor::Green.on_default(),
            false => AnsiColor::Yellow.on_default().bold(),
        };
        let verdict = format!("{as_expected} of {cases} {verdict}");
        let machine = match (group.cpus.first(), group.cpus.last()) {
            (Some(least), Some(most)) if least < most => format!("{least} to {most} cpus"),
            (least, _) => cpus(least.copied().unwrap_or(0)),
        };
        self.row(&group.name, &machine, (colour, &verdict), (group.states, group.seconds))
    }
}

impl<W: Write> Sink for Table<W> {
    fn result(&mut self, record: &Record) -> io::Result<()> {
        let Some(mut fold) = self.fold.take() else { return self.case(record) };
        if !record.as_expected {
            self.case(record)?;
        }
        if let Some(group) = fold.take(record) {
            self.group(group)?;
        }
        self.fold = Some(fold);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(fold) = self.fold.take() else { return Ok(()) };
        fold.open().try_for_each(|group| self.group(group))
    }
}

/// Prints one JSON object a line.
#[derive(Debug)]
pub struct JsonLines<W>(pub W);

impl<W: Write> JsonLines<W> {
    fn line(&mut self, object: &impl Serialize) -> io::Result<()> {
        let line = serde_json::to_string(object)?;
        writeln!(self.0, "{line}")?;
        self.0.flush()
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn head(&mut self, head: &Head) -> io::Result<()> {
        self.line(head)
    }

    fn result(&mut self, record: &Record) -> io::Result<()> {
        self.line(record)
    }

    fn foot(&mut self, end: &End) -> io::Result<()> {
        self.line(end)
    }
}

/// Wraps `text` below the row that it belongs to.
fn indented(text: &str) -> String {
    textwrap::fill(text, wrapping(width()).initial_indent("    ").subsequent_indent("    "))
}

/// Wraps `text` to [`width`].
pub fn fill(text: &str) -> String {
    textwrap::fill(text, wrapping(width()))
}

/// How text is wrapped: at spaces alone, since names have hyphens.
pub fn wrapping<'a>(width: usize) -> textwrap::Options<'a> {
    textwrap::Options::new(width)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
}

/// So many of a thing: `1 space`, `2,000 spaces`.
pub fn counted(count: impl TryInto<u64>, thing: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{} {thing}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// The verdict in a few words, with what was expected where it is not that.
fn verdict(record: &Record) -> String {
    match (record.as_expected, record.steps) {
        (true, Some(steps)) if record.suspect() => format!("suspect, {}", counted(steps, "step")),
        (true, Some(steps)) => format!("{}, {}", record.verdict, counted(steps, "step")),
        (true, None) => record.verdict.clone(),
        (false, _) if record.unproved() => record.verdict.clone(),
        (false, _) if !record.objections.is_empty() => format!("{}, refused", record.verdict.to_uppercase()),
        (false, _) if record.expected == "holds" => format!("{}, must hold", record.verdict.to_uppercase()),
        (false, _) => format!("{}, must violate", record.verdict.to_uppercase()),
    }
}

/// Returns the sums of `records`: states, time, states a second, and the memory that one case took at most.
pub fn totals(records: &[Record]) -> String {
    let states = records.iter().fold(0, |sum: u64, record| sum.saturating_add(record.states));
    // A float sum of nothing is -0.0; a fold from 0.0 is not.
    let time = records.iter().fold(0.0, |sum, record| sum + record.seconds);
    let peak = records.iter().map(|record| record.peak_bytes).max().unwrap_or(0);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rounded rate for people"
    )]
    let rate = if time > 0.0 { (states as f64 / time) as u64 } else { 0 };
    format!(
        "{} in {} ({}/s), at most {}",
        counted(states, "state"),
        if time < 10.0 { seconds(time) } else { format!("{time:.0} s") },
        HumanCount(rate),
        BinaryBytes(peak)
    )
}

/// The machine in a few words.
pub fn machine(count: usize, memory: Memory) -> String {
    format!("{}, {}", cpus(count), memory.name())
}

/// A time in seconds, as people write it.
pub fn seconds(time: f64) -> String {
    format!("{time:.2} s")
}

/// Characters in a line of the terminal; where there is none, those that every terminal has.
pub fn width() -> usize {
    const PAGE: usize = 80;
    terminal_width().unwrap_or(PAGE)
}

/// Characters in a line of the terminal, if there is one; at least as many as a drawing needs.
pub fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(terminal_size::Width(columns), _)| usize::from(columns).max(40))
}

fn cpus(count: usize) -> String {
    if count == 1 { "1 cpu".to_owned() } else { format!("{count} cpus") }
}

#[cfg(test)]
mod tests {
    use super::{JsonLines, Sink, Table, totals};
    use crate::record::Record;
    use crate::testing::{bug_case, engine_case, report, violation};
    use anstream::adapter::strip_str;
    use shootdown_explore::{Memory, Verdict};

    fn records() -> Vec<Record> {
        let (engine, bug) = (engine_case("pairs-flush-switch", 2), bug_case("linux-x"));
        vec![
            Record::new(&engine, Memory::Tso, None, &report(Verdict::Holds)),
            Record::new(&bug, Memory::Tso, None, &violation("frame 1 is reused")),
            Record::new(&engine, Memory::Pso, None, &violation("frame 2 is reused")),
            Record::new(&bug, Memory::Tso, None, &report(Verdict::Holds)),
            Record::new(&engine, Memory::Sc, None, &report(Verdict::Stopped("deadline of 1 s".into()))),
        ]
    }

    #[test]
    fn the_table_is_aligned_and_tells_expected_from_unexpected() {
        let (engine, bug) = (engine_case("pairs-flush-switch", 2), bug_case("linux-x"));
        let mut out = Vec::new();
        let mut table = Table::begin(&mut out, &[&engine, &bug], 80).expect("a head");
        for record in records() {
            table.result(&record).expect("a row");
        }
        let text = String::from_utf8(out).expect("text");
        insta::assert_snapshot!(strip_str(&text).to_string());
    }

    #[test]
    fn a_name_that_is_too_long_for_the_line_has_one_for_itself() {
        let bug = bug_case("linux-bafb056c-sparc64-trim-of-a-mask");
        let mut out = Vec::new();
        let mut table = Table::begin(&mut out, &[&bug], 80).expect("a head");
        table.result(&Record::new(&bug, Memory::Tso, None, &violation("x"))).expect("a row");
        let text = strip_str(&String::from_utf8(out).expect("text")).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[1]), (3, bug.name.as_str()), "{text}");
        assert!(lines[2].starts_with("   ") && lines.iter().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn a_group_becomes_one_line_and_what_is_not_as_expected_keeps_its_own() {
        let cases = ["a", "b", "c"].map(|name| engine_case(name, 2));
        let bug = bug_case("linux-x");
        let [a, b, c] = &cases;
        let reports = [
            (a, report(Verdict::Holds)),
            (b, violation("frame 2 is reused")),
            (c, report(Verdict::Holds)),
            (&bug, violation("frame 1 is reused")),
        ];
        let shown = reports.each_ref().map(|(case, _)| *case);
        let mut out = Vec::new();
        let mut table = Table::folded(&mut out, &shown).expect("a head");
        for (case, report) in &reports {
            table.result(&Record::new(case, Memory::Tso, None, report)).expect("a row");
        }
        table.end().expect("groups");
        let text = strip_str(&String::from_utf8(out).expect("text")).to_string();
        let firsts: Vec<&str> = text.lines().map(|line| line.split("  ").next().unwrap_or("")).collect();
        assert_eq!(firsts, ["name", "b", "", "engine, pairs", "bugs, as published"], "{text}");
        assert!(text.contains("2 of 3 hold") && text.contains("1 of 1 found"), "{text}");
    }

    #[test]
    fn a_group_that_was_cut_short_says_how_far_it_came() {
        let cases = ["a", "b"].map(|name| engine_case(name, 2));
        let mut out = Vec::new();
        let mut table = Table::folded(&mut out, &cases.each_ref()).expect("a head");
        table.result(&Record::new(&cases[0], Memory::Tso, None, &report(Verdict::Holds))).expect("a row");
        table.end().expect("groups");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("1 of 2 hold"), "{text}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let mut out = Vec::new();
        let mut lines = JsonLines(&mut out);
        for record in records() {
            lines.result(&record).expect("a line");
        }
        let text = String::from_utf8(out).expect("text");
        let back: Vec<Record> = text.lines().map(|l| serde_json::from_str(l).expect("a record")).collect();
        assert_eq!(back, records());
    }

    #[test]
    fn totals_add_up_and_survive_nothing_at_all() {
        assert_eq!(totals(&records()), "2,468 states in 7.50 s (329/s), at most 120.51 KiB");
        let most = Record { states: u64::MAX, ..records().remove(0) };
        assert!(totals(&[most.clone(), most]).starts_with("18,446,744,073,709,551,615 states"));
        assert_eq!(totals(&[]), "0 states in 0.00 s (0/s), at most 0 B");
    }
}
