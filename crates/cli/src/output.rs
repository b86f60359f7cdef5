//! What `check` prints: a table for people, or lines of JSON for programs.

use anstyle::{AnsiColor, Style};
use indicatif::{BinaryBytes, HumanCount};
use shootdown_explore::Memory;
use shootdown_machine::Case;
use std::io::{self, Write};

use crate::names;
use crate::record::Record;

/// Takes results as they come.
pub trait Sink {
    /// Takes the result of one case.
    ///
    /// # Errors
    /// It could not be written.
    fn result(&mut self, record: &Record) -> io::Result<()>;
}

/// Prints aligned columns.
#[derive(Debug)]
pub struct Table<W> {
    out: W,
    name: usize,
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
        Ok(Self { out, name })
    }
}

impl<W: Write> Sink for Table<W> {
    fn result(&mut self, record: &Record) -> io::Result<()> {
        let name = self.name;
        let colour = match (record.as_expected, record.complete) {
            (true, _) => AnsiColor::Green.on_default(),
            (false, true) => AnsiColor::Red.on_default().bold(),
            (false, false) => AnsiColor::Yellow.on_default().bold(),
        };
        let machine = format!("{}, {}", cpus(record.cpus), record.memory);
        writeln!(
            self.out,
            "{:name$}  {machine:12}  {colour}{:24}{colour:#}  {:>13}  {:>9}",
            record.name,
            verdict(record),
            HumanCount(record.states).to_string(),
            seconds(record.seconds),
        )?;
        match &record.message {
            Some(message) if !record.as_expected => writeln!(self.out, "    {message}"),
            _ => Ok(()),
        }
    }
}

/// Prints one JSON object a line.
#[derive(Debug)]
pub struct JsonLines<W>(pub W);

impl<W: Write> Sink for JsonLines<W> {
    fn result(&mut self, record: &Record) -> io::Result<()> {
        let line = serde_json::to_string(record)?;
        writeln!(self.0, "{line}")?;
        self.0.flush()
    }
}

/// The verdict in a few words, with what was expected where it is not that.
fn verdict(record: &Record) -> String {
    match (record.as_expected, record.steps) {
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
    use crate::testing::{corpus_case, engine_case, report, violation};
    use anstream::adapter::strip_str;
    use shootdown_explore::{Memory, Verdict};

    fn records() -> Vec<Record> {
        let (engine, corpus) = (engine_case("pairs-flush-switch", 2), corpus_case("linux-x"));
        vec![
            Record::new(&engine, Memory::Tso, None, &report(Verdict::Holds)),
            Record::new(&corpus, Memory::Tso, None, &violation("frame 1 is reused")),
            Record::new(&engine, Memory::Pso, None, &violation("frame 2 is reused")),
            Record::new(&corpus, Memory::Tso, None, &report(Verdict::Holds)),
            Record::new(&engine, Memory::Sc, None, &report(Verdict::Stopped("deadline of 1 s".into()))),
        ]
    }

    #[test]
    fn the_table_is_aligned_and_tells_expected_from_unexpected() {
        let (engine, corpus) = (engine_case("pairs-flush-switch", 2), corpus_case("linux-x"));
        let mut out = Vec::new();
        let mut table = Table::begin(&mut out, &[&engine, &corpus]).expect("a head");
        for record in records() {
            table.result(&record).expect("a row");
        }
        let text = String::from_utf8(out).expect("text");
        insta::assert_snapshot!(strip_str(&text).to_string());
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
