//! Orderings and barriers under weak memory, by the explorer alone. The last cell of each one's row in INVARIANTS.md
//! names the case that notices that it is missing, which runs here; or another ordering that covers it, and both are
//! removed.

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::mutate::{BARRIERS, LIST, listed};
use crate::process::{Checked, checked, cpu_seconds};

const INVARIANTS: &str = "INVARIANTS.md";
/// Seconds for one run; one that takes longer has shown nothing.
const DEADLINE: &str = "60";

/// The proof that something is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    /// This case fails without it.
    Caught(String),
    /// This case holds without it, and without `by`, and fails without both.
    Covered { by: String, case: String },
}

/// What a run of a case came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Holds,
    Finds,
    Stops,
}

/// Runs what INVARIANTS.md names for each ordering and barrier, prints what came out, and says how many there are.
///
/// # Errors
/// A row is missing, or its case does not show what it says.
pub fn run(root: &Path) -> Result<String> {
    let before = cpu_seconds();
    let text = std::fs::read_to_string(root.join(INVARIANTS)).context(INVARIANTS)?;
    let rows = rows(&text);
    let mut sites = listed(root, LIST)?;
    sites.extend(listed(root, BARRIERS)?);
    let missing: Vec<_> = sites.iter().filter(|&site| !rows.contains_key(site)).cloned().collect();
    ensure!(missing.is_empty(), "{INVARIANTS} does not say what shows these under weak memory: {missing:?}");
    let cases: BTreeSet<&str> = sites.iter().map(|site| rows[site].case()).collect();
    let mut stopped = Vec::new();
    for case in &cases {
        match came(root, case, None)? {
            Came::Holds => {}
            Came::Stops => stopped.push(*case),
            Came::Finds => bail!("{case} fails with nothing weakened; mend that first"),
        }
    }
    println!("{:16} | {:7} | where | seconds of CPUs", "site", "is");
    let mut wrong = Vec::new();
    for site in &sites {
        let begin = cpu_seconds();
        let right = rows[site].is_shown(site, |case, removed| came(root, case, Some(removed)))?;
        let took = since(begin);
        println!(
            "{site:16} | {:7} | {} | {took}",
            if right { rows[site].word() } else { "NOT" },
            rows[site].told()
        );
        if !right {
            wrong.push(site.as_str());
        }
    }
    let names = wrong.join(", ");
    ensure!(
        wrong.is_empty(),
        "not as {INVARIANTS} says: {names}; `cargo xtask mutate --memory weak weak` looks through the group"
    );
    let covered = sites.iter().filter(|site| matches!(rows[*site], Shown::Covered { .. })).count();
    let (caught, cases, took) = (sites.len() - covered, cases.len(), since(before));
    println!("{caught} caught, {covered} covered by another, by {cases} cases; {took} s of CPUs");
    if !stopped.is_empty() {
        println!("with nothing weakened not visited whole within {DEADLINE} s: {}", stopped.join(", "));
    }
    Ok(format!("{} orderings and barriers, each noticed under weak memory when it is missing", sites.len()))
}

fn since(begin: Option<f64>) -> String {
    let took = begin.and_then(|begin| Some(cpu_seconds()? - begin));
    took.map_or("-".to_owned(), |took| format!("{took:.1}"))
}

impl Shown {
    /// Reads the last cell of a row.
    fn read(cell: &str) -> Option<Self> {
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        match (cell.trim_start().starts_with("covered by"), &names[..]) {
            (false, [case]) => Some(Self::Caught((*case).to_owned())),
            (true, [by, case]) => Some(Self::Covered { by: (*by).to_owned(), case: (*case).to_owned() }),
            _ => None,
        }
    }

    fn case(&self) -> &str {
        let (Self::Caught(case) | Self::Covered { case, .. }) = self;
        case
    }

    fn word(&self) -> &'static str {
        if matches!(self, Self::Caught(_)) { "caught" } else { "covered" }
    }

    fn told(&self) -> String {
        match self {
            Self::Caught(case) => case.clone(),
            Self::Covered { by, case } => {
                format!("{case}, which fails without {by} too and holds without either")
            }
        }
    }

    /// Whether what `run` says of a case and what is removed is what this promises of `site`.
    fn is_shown(&self, site: &str, mut run: impl FnMut(&str, &str) -> Result<Came>) -> Result<bool> {
        Ok(match self {
            Self::Caught(case) => run(case, site)? == Came::Finds,
            Self::Covered { by, case } => {
                run(case, site)? == Came::Holds
                    && run(case, by)? == Came::Holds
                    && run(case, &format!("{by}+{site}"))? == Came::Finds
            }
        })
    }
}

/// What each row says whose first cell names something: `name`, or a word and `name`.
fn rows(text: &str) -> BTreeMap<String, Shown> {
    let row = Regex::new(r"(?m)^\| (?:barrier )?`([a-z-]+)` \|.*\|([^|]+)\|$").expect("a constant pattern");
    row.captures_iter(text).filter_map(|row| Some((row[1].to_owned(), Shown::read(&row[2])?))).collect()
}

/// Runs a case with something removed or nothing.
fn came(root: &Path, case: &str, removed: Option<&str>) -> Result<Came> {
    let removed = removed.map(|removed| format!("--drop-site {removed} ")).unwrap_or_default();
    let options = format!("{case} {removed}--deep --memory weak --workers 1 --deadline {DEADLINE}");
    let Checked { records, said, .. } = checked(root, &options)?;
    let record = records.iter().find(|record| record["name"] == case);
    let verdict = record.and_then(|record| record["verdict"].as_str());
    Ok(match verdict.with_context(|| format!("`check {options}` says nothing of it: {said}"))? {
        "holds" => Came::Holds,
        "stopped" => Came::Stops,
        _ => Came::Finds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ordering_and_barrier_has_a_row() {
        let rows = rows(include_str!("../../INVARIANTS.md"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        for file in [LIST, BARRIERS] {
            for site in listed(root, file).expect("a list") {
                assert!(
                    rows.contains_key(&site),
                    "{site} has no row that says what shows it under weak memory"
                );
            }
        }
    }

    #[test]
    fn a_cell_names_a_case_or_another_ordering_and_a_case() {
        let caught = Shown::Caught("seed/weak".into());
        assert_eq!(Shown::read(" `seed/weak` "), Some(caught));
        let covered = Shown::Covered { by: "ack".into(), case: "seed/weak".into() };
        assert_eq!(Shown::read(" covered by `ack` in `seed/weak` "), Some(covered));
        assert_eq!(Shown::read(" loom: `a`, `b` "), None);
        assert_eq!(Shown::read(" argued "), None);
    }

    #[test]
    fn what_is_covered_is_missed_alone_and_seen_with_the_other() {
        let covered = Shown::Covered { by: "ack".into(), case: "seed".into() };
        for (alone, both, right) in [
            (Came::Holds, Came::Finds, true),
            (Came::Holds, Came::Holds, false),
            (Came::Holds, Came::Stops, false),
            (Came::Stops, Came::Finds, false),
            (Came::Finds, Came::Finds, false),
        ] {
            let run = |_: &str, removed: &str| Ok(if removed == "ack+bump" { both } else { alone });
            assert_eq!(covered.is_shown("bump", run).expect("no errors"), right, "{alone:?}, {both:?}");
        }
    }

    #[test]
    fn a_run_that_was_stopped_has_shown_nothing() {
        let caught = Shown::Caught("seed".into());
        for (came, right) in [(Came::Finds, true), (Came::Holds, false), (Came::Stops, false)] {
            assert_eq!(caught.is_shown("ack", |_, _| Ok(came)).expect("no errors"), right);
        }
    }
}
