//! The table of counts.

use super::operations::WATCH_LIMIT;
use core::fmt;
use serde::Serialize;

/// What one operation costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The operation, in words.
    pub operation: &'static str,
    /// Instructions from entry to return.
    pub instructions: u64,
    /// Instructions that ran inside and belong to another CPU; not part of `instructions`.
    pub apart: u64,
    /// Most that it should take.
    pub aim: Option<u64>,
    /// Most that it may take by exception.
    pub limit: Option<u64>,
    /// Why there is an exception.
    pub reason: Option<&'static str>,
}

/// How a count compares with its aim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has no aim.
    Reported,
    /// Not above the aim.
    Met,
    /// Above the aim, and an exception allows it.
    Excepted,
    /// Above the aim and above what an exception allows, if there is one.
    Missed,
}

impl Row {
    /// Compares the count with the aim.
    pub fn standing(&self) -> Standing {
        match (self.aim, self.limit) {
            (None, _) => Standing::Reported,
            (Some(aim), _) if self.instructions <= aim => Standing::Met,
            (_, Some(limit)) if self.instructions <= limit => Standing::Excepted,
            _ => Standing::Missed,
        }
    }
}

/// All counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// One row per operation.
    pub rows: Vec<Row>,
    /// What some of them cost while a sanitizer watches.
    pub watched: Vec<Watch>,
}

/// What an operation costs while a sanitizer watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watch {
    /// The operation, in words.
    pub operation: &'static str,
    /// Instructions without.
    pub without: u64,
    /// Instructions with.
    pub with: u64,
    /// Whether it counts for the limit.
    pub limited: bool,
}

/// By how many percent the second is more than the first.
fn more(without: u64, with: u64) -> u64 {
    (100 * with).div_ceil(without.max(1)).saturating_sub(100)
}

impl Table {
    /// Whether every count is within its aim or its exception.
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.standing() != Standing::Missed) && self.watch_costs() <= WATCH_LIMIT
    }

    /// By how many percent the operations that are limited cost more under watch, all together.
    pub fn watch_costs(&self) -> u64 {
        let sum = |of: fn(&Watch) -> u64| self.watched.iter().filter(|row| row.limited).map(of).sum();
        more(sum(|row| row.without), sum(|row| row.with))
    }

    fn show_watched(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        if self.watched.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:width$}  instructions  under watch  more", "operation")?;
        for Watch { operation, without, with, limited } in &self.watched {
            let (percent, mark) = (more(*without, *with), if *limited { " *" } else { "" });
            writeln!(f, "{operation:width$}  {without:>12}  {with:>11}  {percent:>3} %{mark}")?;
        }
        let standing = if self.watch_costs() <= WATCH_LIMIT { "yes" } else { "NO" };
        writeln!(f, "* together: {} % more; at most {WATCH_LIMIT} %: {standing}", self.watch_costs())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.operation.len()).max().unwrap_or(0);
        writeln!(f, "{:width$}  instructions  aim  ok?", "operation")?;
        for row in &self.rows {
            let aim = row.aim.map_or("-".to_owned(), |aim| aim.to_string());
            let standing = match row.standing() {
                Standing::Reported => "-".to_owned(),
                Standing::Met => "yes".to_owned(),
                Standing::Missed => "NO".to_owned(),
                Standing::Excepted => {
                    format!("up to {}: {}", row.limit.unwrap_or_default(), row.reason.unwrap_or_default())
                }
            };
            writeln!(f, "{:width$}  {:>12}  {aim:>3}  {standing}", row.operation, row.instructions)?;
        }
        for row in self.rows.iter().filter(|row| row.apart > 0) {
            writeln!(f, "{}: {} more on the target", row.operation, row.apart)?;
        }
        self.show_watched(f, width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(instructions: u64, aim: Option<u64>, limit: Option<u64>) -> Row {
        Row { operation: "switch", instructions, apart: 0, aim, limit, reason: limit.map(|_| "a reason") }
    }

    #[test]
    fn a_count_above_its_aim_fails_unless_an_exception_allows_it() {
        assert_eq!(row(12, Some(12), None).standing(), Standing::Met);
        assert_eq!(row(13, Some(12), None).standing(), Standing::Missed);
        assert_eq!(row(13, Some(12), Some(14)).standing(), Standing::Excepted);
        assert_eq!(row(15, Some(12), Some(14)).standing(), Standing::Missed);
        assert_eq!(row(99, None, None).standing(), Standing::Reported);
        let table =
            Table { rows: vec![row(12, Some(12), None), row(13, Some(12), None)], watched: Vec::new() };
        assert!(!table.holds());
    }

    #[test]
    fn what_the_sanitizer_costs_is_held_against_its_limit() {
        let watched = |with| vec![Watch { operation: "switch", without: 100, with, limited: true }];
        let table = |with| Table { rows: vec![row(12, Some(12), None)], watched: watched(with) };
        assert_eq!(table(100 + WATCH_LIMIT).watch_costs(), WATCH_LIMIT);
        assert!(table(100 + WATCH_LIMIT).holds());
        assert!(!table(101 + WATCH_LIMIT).holds());
    }
}
