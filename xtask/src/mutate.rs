//! Weakens every named ordering of the engine, one at a time, and asks who notices: the explorer under TSO and under
//! store buffers per location, and loom; or the explorer alone, under the model that is asked for. What nobody notices
//! must be argued in CAVEATS.md under `### site NAME`. Under weak memory `mutate_weak.rs` knows the case that notices
//! each.

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::process::{cargo, caught, checked, line};

pub(crate) const LIST: &str = "crates/shootdown/src/fault.rs";
/// Barriers that the engine expects of a platform, which only weak memory asks for.
pub(crate) const BARRIERS: &str = "crates/cases/src/engine/barrier.rs";
const CAVEATS: &str = "CAVEATS.md";
/// Cases that run where none are named: two CPUs, each in a second or less.
const USUAL: &str = "two";
/// Seconds for one case; a case that takes longer notices nothing.
const DEADLINE: &str = "30";
const MODELS: [&str; 2] = ["tso", "pso"];

/// The checkers that noticed that one ordering was weakened, each with its case.
type Catches<'m> = Vec<(&'m str, String)>;

/// Runs the explorer on `cases` (or the usual ones) and loom's table, prints who caught what, and says how many
/// orderings there are. Where `only` names a memory model, the explorer runs under that, and loom does not run.
///
/// # Errors
/// A checker cannot be run, or an ordering is neither caught nor argued.
pub fn run(root: &Path, cases: &[String], only: Option<&str>) -> Result<String> {
    let models = only.map_or(MODELS.to_vec(), |model| vec![model]);
    let mut sites = listed(root, LIST)?;
    if only == Some("weak") {
        sites.extend(listed(root, BARRIERS)?);
    }
    let argued = argued(&std::fs::read_to_string(root.join(CAVEATS)).unwrap_or_default());
    let cases = if cases.is_empty() { USUAL.to_owned() } else { cases.join(" ") };
    for &model in &models {
        if let Some(case) = explored(root, &cases, "", model)? {
            bail!("{case} fails under {model} with nothing weakened; mend that first");
        }
    }
    let loom = if only.is_none() { loom(root)? } else { BTreeMap::new() };
    println!("{:16} | caught by | where", "site");
    let mut open = Vec::new();
    for site in &sites {
        let mut catches = Catches::new();
        for &model in &models {
            catches.extend(
                explored(root, &cases, &format!("--drop-site {site}"), model)?.map(|case| (model, case)),
            );
        }
        catches.extend(loom.get(site).map(|scenario| ("loom", scenario.clone())));
        println!("{}", row(site, &catches, argued.contains(site)));
        if catches.is_empty() && !argued.contains(site) {
            open.push(site.as_str());
        }
    }
    let names = open.join(", ");
    ensure!(open.is_empty(), "neither caught nor argued in {CAVEATS} under `### site NAME`: {names}");
    Ok(format!("{} orderings, each noticed when weakened, or argued", sites.len()))
}

/// Runs `cases` with what `weakened` says until one fails, and names it. A failure is what is looked for, so the exit
/// code says little; the records say all.
fn explored(root: &Path, cases: &str, weakened: &str, model: &str) -> Result<Option<String>> {
    let options = format!("{cases} {weakened} --memory {model} --workers 1 --deadline {DEADLINE}");
    Ok(caught(&checked(root, &options)?.records).map(str::to_owned))
}

/// Runs loom's table; the scenario that catches each site.
fn loom(root: &Path) -> Result<BTreeMap<String, String>> {
    let test = "test --quiet --release --package shootdown-under-loom --test sites -- --nocapture";
    let mut command = cargo(root, test);
    let output = command.output().with_context(|| format!("cannot start {}", line(&command)))?;
    let text = String::from_utf8(output.stdout)?;
    let table = loom_table(&text);
    if table.is_empty() {
        bail!("{} shows no table: {}", line(&command), String::from_utf8_lossy(&output.stderr));
    }
    Ok(table)
}

/// Reads lines `site | scenario | seconds`; `NOTHING` is no scenario.
fn loom_table(text: &str) -> BTreeMap<String, String> {
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim);
        let (site, scenario, seconds) = (cells.next()?, cells.next()?, cells.next()?);
        let caught = scenario != "NOTHING" && seconds.parse::<f64>().is_ok();
        caught.then(|| (site.to_owned(), scenario.to_owned()))
    });
    rows.collect()
}

fn row(site: &str, catches: &Catches<'_>, argued: bool) -> String {
    let who: Vec<&str> = catches.iter().map(|(who, _)| *who).collect();
    let places: Vec<String> = catches.iter().map(|(who, place)| format!("{who}: {place}")).collect();
    match (who.is_empty(), argued) {
        (false, _) => format!("{site:16} | {} | {}", who.join(", "), places.join(", ")),
        (true, true) => format!("{site:16} | nobody | argued in {CAVEATS}"),
        (true, false) => format!("{site:16} | NOBODY | -"),
    }
}

/// Names of the orderings that a file lists.
pub(crate) fn listed(root: &Path, file: &str) -> Result<Vec<String>> {
    let sites =
        sites(&std::fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?);
    ensure!(!sites.is_empty(), "{file} lists no orderings");
    Ok(sites)
}

/// Names of the orderings in a list, in its order.
fn sites(text: &str) -> Vec<String> {
    let entry = Regex::new(r#"(?m)^\s+\w+ = "([a-z-]+)",$"#).expect("a constant pattern");
    entry.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// Orderings that have a heading of their own in CAVEATS.md.
fn argued(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("### site "))
        .map(|name| name.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_list_is_read() {
        let barriers = sites(include_str!("../../crates/cases/src/engine/barrier.rs"));
        assert_eq!(barriers.first().map(String::as_str), Some("publish-tables"), "{barriers:?}");
        let list = include_str!("../../crates/shootdown/src/fault.rs");
        let sites = sites(list);
        assert!(sites.len() > 20, "{sites:?}");
        assert_eq!(sites[0], "flush-fence");
    }

    #[test]
    fn loom_s_table_is_read_without_its_head_and_misses() {
        let text = "running 1 test\nsite | caught by | seconds\nipi-request  | kept_bit | 0.12\ntake | NOTHING | 3.00\n";
        let table = loom_table(text);
        assert_eq!(table.len(), 1);
        assert_eq!(table["ipi-request"], "kept_bit");
    }

    #[test]
    fn only_the_exact_heading_argues() {
        let text = "### site ipi-request\ntext\n## site take\n### sites\nabout ### site bump\n";
        assert_eq!(argued(text), BTreeSet::from(["ipi-request".to_owned()]));
        assert!(row("take", &Catches::new(), false).contains("NOBODY"));
        assert!(row("ipi-request", &Catches::new(), true).contains("argued in CAVEATS.md"));
    }
}
