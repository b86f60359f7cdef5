//! Tables of the bench's counts.

use anstyle::{AnsiColor, Style};
use indicatif::HumanCount;
use shootdown_bench::bench::{Rates, Row};
use shootdown_bench::machine::Totals;
use shootdown_bench::policy::PolicyKind;
use std::io::{self, Write};

use crate::failure::{BadInput, Failure};
use crate::output::counted;
use crate::select::near;

/// Returns the policies of these names; all of `default` where there are none.
///
/// # Errors
/// The first name that no policy has.
pub fn policies(names: &[String], default: &[PolicyKind]) -> Result<Vec<PolicyKind>, Failure> {
    let all = PolicyKind::ALL.map(PolicyKind::name);
    chosen("policy", names, default, &all, |name| PolicyKind::of(name).into_iter().collect())
}

/// Returns what has these names, each once; `default` where there are none.
///
/// # Errors
/// The first name that nothing has.
pub fn chosen<T: Copy + PartialEq>(
    what: &str,
    names: &[String],
    default: &[T],
    all: &[&str],
    of: impl Fn(&str) -> Vec<T>,
) -> Result<Vec<T>, Failure> {
    if names.is_empty() {
        return Ok(default.to_vec());
    }
    let unknown = |name: &str| {
        Failure::BadInput(BadInput {
            what: format!("no {what} is called {name:?}"),
            near: near(name, all.iter().copied()),
            remedy: format!("there are: {}", all.join(", ")),
        })
    };
    let mut found = Vec::new();
    for name in names {
        let named = of(name);
        if named.is_empty() {
            return Err(unknown(name));
        }
        found.extend(named);
    }
    let mut once = Vec::new();
    found.into_iter().for_each(|one| {
        if !once.contains(&one) {
            once.push(one)
        }
    });
    Ok(once)
}

/// Prints the heads of the columns, after one for names.
///
/// # Errors
/// They could not be written.
pub fn head(out: &mut impl Write, first: &str) -> io::Result<()> {
    let dim = Style::new().dimmed();
    writeln!(
        out,
        "{dim}{first:17}{:>9}{:>7}{:>8}{:>9}{:>7}{:>6}{:>9}{:>8}{dim:#}",
        "IPIs", "each", "full", "refills", "lines", "instr", "kcycles", "held"
    )
}

/// Prints a policy's counts in one line of at most 80 columns: IPIs, and how many for each flush; line transfers and
/// the initiator's instructions for each flush; time.
///
/// # Errors
/// They could not be written.
pub fn line(out: &mut impl Write, policy: &str, totals: &Totals, sound: bool) -> io::Result<()> {
    let rates = Rates::of(totals);
    let style = match (policy, sound) {
        ("shootdown", true) => AnsiColor::Green.on_default(),
        (_, true) => Style::new(),
        (_, false) => AnsiColor::Red.on_default().bold(),
    };
    writeln!(
        out,
        "{style}{policy:17}{style:#}{:>9}{:>7.2}{:>8}{:>9}{:>7.1}{:>6.0}{:>9}{:>8}",
        within(totals.sent, 8),
        rates.ipis_per_flush,
        within(totals.full_flushes, 7),
        within(totals.refills, 8),
        rates.transfers_per_flush,
        rates.instructions_per_flush,
        within(totals.cycles / 1_000, 8),
        within(rates.cycles_held as u64, 7),
    )?;
    match totals.violations {
        0 => Ok(()),
        n => writeln!(out, "  {} of what was given away", counted(n, "use")),
    }
}

/// A count in so many characters: in thousands, millions and so on where it has more digits.
fn within(count: u64, width: usize) -> String {
    let scaled = [("", 1), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];
    let texts = scaled.map(|(unit, size)| format!("{}{unit}", HumanCount(count / size)));
    let [.., most] = &texts;
    texts.iter().find(|text| text.len() <= width).unwrap_or(most).clone()
}

/// What the columns mean.
pub const LEGEND: &str = "each: IPIs a flush. full: flushes of a tag. lines, instr: cache-line transfers (handlers included) \
and the initiator's instructions a flush. kcycles: thousands of cycles until the last CPU ends. held: cycles that a frame \
waits. --json has more.";

/// Prints what each kind of operation costs under the policy of a row: IPIs, line transfers and instructions of the CPU
/// that carries it out.
///
/// # Errors
/// They could not be written.
pub fn operations(out: &mut impl Write, row: &Row) -> io::Result<()> {
    let dim = Style::new().dimmed();
    let policy = row.policy;
    writeln!(out, "{dim}  {policy:15} {:>9} {:>12} {:>8} {:>8}{dim:#}", "times", "IPIs", "lines", "instr")?;
    for (operation, spent) in row.totals.operations.iter() {
        let each = |count: u64| count as f64 / spent.times as f64;
        writeln!(
            out,
            "  {:15} {:>9} {:>12.2} {:>8.2} {:>8.1}",
            operation.name(),
            HumanCount(spent.times).to_string(),
            each(spent.ipis),
            each(spent.transfers),
            each(spent.instructions)
        )?;
    }
    Ok(())
}

/// Prints the rows of one workload.
///
/// # Errors
/// They could not be written.
pub fn workload(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let flushes = HumanCount(first.totals.flush.operations);
    let switches = HumanCount(first.totals.switch.operations + first.totals.lazy.operations);
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}{}{bold:#}: {flushes} flushes, {switches} switches", first.workload)?;
    if first.totals.flush.operations == 0 {
        writeln!(out, "  (nothing is unmapped: IPIs, lines and held say nothing)")?;
    }
    head(out, "")?;
    for row in rows {
        line(out, row.policy, &row.totals, row.is_as_promised())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::within;
    use shootdown_bench::workload::WorkloadKind;

    #[test]
    fn counts_that_are_too_long_for_a_column_are_in_thousands_or_more() {
        let counts = [0, 999_999, 174_209_676, 99_999_999_999, u64::MAX];
        assert_eq!(
            counts.map(|count| within(count, 8)),
            ["0", "999,999", "174,209k", "99,999M", "18,446,744T"],
            "the last has no shorter form"
        );
    }

    #[test]
    fn what_is_named_twice_or_by_its_group_is_chosen_once() {
        let names = ["mapbench-local".to_owned(), "mapbench".to_owned()];
        let chosen = super::chosen("workload", &names, &[], &[], WorkloadKind::of).expect("workloads");
        let names: Vec<_> = chosen.into_iter().map(WorkloadKind::name).collect();
        assert_eq!(names, ["mapbench-local", "mapbench-pipeline", "mapbench-global"]);
    }
}
