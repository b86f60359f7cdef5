//! What `check` prints: a table for people, or lines of JSON for programs.

use anstyle::{AnsiColor, Style};
use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;
use shootdown_explore::Memory;
use shootdown_machine::Case;
use std::collections::HashSet;
use std::io::{self, Write};

use crate::names;
use crate::record::Record;
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

/// Prints aligned columns.
#[derive(Debug)]
pub struct Table<W> {
    out: W,
    name: usize,
    fold: Option<Fold>,
}

/// The pairs of operations: many alike, of which only those that fail get a line of their own.
#[derive(Debug, Default)]
struct Fold {
    names: HashSet<String>,
    hold: usize,
    states: u64,
    seconds: f64,
    machine: Option<String>,
}

impl Fold {
    /// Adds `record` if it is to be folded.
    fn takes(&mut self, record: &Record) -> bool {
        if !record.as_expected || !self.names.contains(&record.name) {
            return false;
        }
        self.hold += 1;
        self.states += record.states;
        self.seconds += record.seconds;
        self.machine.get_or_insert_with(|| format!("{}, {}", cpus(record.cpus), record.memory));
        true
    }
}

impl<W: Write> Table<W> {
    /// Starts a table that will hold `cases`, with its head.
    ///
    /// # Errors
    /// The head could not be written.
    pub fn begin(mut out: W, cases: &[&Case]) -> io::Result<Self> {
        let name = cases.iter().map(|case| case.name.len()).max().unwrap_or(0).max(4);
        let dim = Style::new().dimmed();
        let head =
            format!("{:name$}  {:12}  {:24}  {:>13}  {:>9}", "name", "machine", "verdict", "states", "time");
        writeln!(out, "{dim}{head}{dim:#}")?;
        Ok(Self { out, name, fold: None })
    }

    /// Makes one line of those of `cases` that are pairs of operations and hold.
    pub fn fold_pairs(mut self, cases: &[&Case]) -> Self {
        let pairs = cases.iter().filter(|case| case.groups.contains(&"pairs"));
        let names = pairs.map(|case| case.name.clone()).collect();
        self.fold = Some(Fold { names, ..Fold::default() });
        self
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
        writeln!(
            self.out,
            "{name:width$}  {machine:12}  {colour}{verdict:24}{colour:#}  {states:>13}  {time:>9}"
        )
    }
}

impl<W: Write> Sink for Table<W> {
    fn result(&mut self, record: &Record) -> io::Result<()> {
        if self.fold.as_mut().is_some_and(|fold| fold.takes(record)) {
            return Ok(());
        }
        let colour = match (record.as_expected, record.complete) {
            (true, _) => AnsiColor::Green.on_default(),
            (false, true) => AnsiColor::Red.on_default().bold(),
            (false, false) => AnsiColor::Yellow.on_default().bold(),
        };
        let machine = format!("{}, {}", cpus(record.cpus), record.memory);
        let figures = (record.states, record.seconds);
        self.row(&record.name, &machine, (colour, &verdict(record)), figures)?;
        match &record.message {
            Some(message) if !record.as_expected => writeln!(self.out, "    {message}"),
            _ => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(Fold { names, hold, states, seconds, machine: Some(machine) }) = self.fold.take() else {
            return Ok(());
        };
        let name = format!("pairs: {hold} of {} hold", names.len());
        let (colour, verdict) = match hold == names.len() {
            true => (AnsiColor::Green.on_default(), "holds"),
            false => (AnsiColor::Yellow.on_default().bold(), "not all"),
        };
        self.row(&name, &machine, (colour, verdict), (states, seconds))
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

/// The verdict in a few words, with what was expected where it is not that.
fn verdict(record: &Record) -> String {
    match (record.as_expected, record.steps) {
        (true, Some(steps)) if record.suspect() => format!("suspect, {steps} steps"),
        (true, Some(steps)) => format!("{}, {steps} steps", record.verdict),
        (true, None) => record.verdict.clone(),
        (false, _) if record.expected == "holds" => format!("{}, must hold", record.verdict.to_uppercase()),
        (false, _) => format!("{}, must violate", record.verdict.to_uppercase()),
    }
}

/// Returns the sums of `records`: states, time, states a second, and the most that one case took.
pub fn totals(records: &[Record]) -> String {
    let states: u64 = records.iter().map(|record| record.states).sum();
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
        "{} states in {} ({} a second), at most {} at once",
        HumanCount(states),
        seconds(time),
        HumanCount(rate),
        BinaryBytes(peak)
    )
}

/// The machine in a few words.
pub fn machine(count: usize, memory: Memory) -> String {
    format!("{}, {}", cpus(count), names::memory(memory))
}

/// A time in seconds, as people write it.
pub fn seconds(time: f64) -> String {
    format!("{time:.2} s")
}

/// Characters in a line of the terminal; where there is none, those of a wide page.
pub fn width() -> usize {
    const PAGE: usize = 100;
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
        let mut table = Table::begin(&mut out, &[&engine, &bug]).expect("a head");
        for record in records() {
            table.result(&record).expect("a row");
        }
        let text = String::from_utf8(out).expect("text");
        insta::assert_snapshot!(strip_str(&text).to_string());
    }

    #[test]
    fn pairs_that_hold_become_one_line_and_others_keep_theirs() {
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
        let mut table = Table::begin(&mut out, &shown).expect("a head").fold_pairs(&shown);
        for (case, report) in &reports {
            table.result(&Record::new(case, Memory::Tso, None, report)).expect("a row");
        }
        table.end().expect("the pairs");
        let text = strip_str(&String::from_utf8(out).expect("text")).to_string();
        let firsts: Vec<&str> = text.lines().map(|line| line.split("  ").next().unwrap_or("")).collect();
        assert_eq!(firsts, ["name", "b", "", "linux-x", "pairs: 2 of 3 hold"], "{text}");
        assert!(text.ends_with("3.00 s\n"), "{text}");
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
        assert_eq!(totals(&records()), "2,468 states in 7.50 s (329 a second), at most 120.51 KiB at once");
        assert_eq!(totals(&[]), "0 states in 0.00 s (0 a second), at most 0 B at once");
    }
}
