//! Puts the other variant's protocol into each bug case, one at a time: `shootdown check` must exit 1 and name the case. Bug
//! cases that would pass whatever their protocols are show nothing. Then takes each step of each fix out.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;

use crate::process::{self, line, read, shootdown};

/// Swaps every case, prints a table, and returns how many there are.
///
/// # Errors
/// The command cannot be run, or a swap is not noticed.
pub fn run(root: &Path) -> Result<usize> {
    let cases = cases(&read(&mut shootdown(root, "check bugs --list --json")?)?)?;
    ensure!(!cases.is_empty(), "the bug collection has no cases");
    let widest = cases.iter().map(String::len).max().unwrap_or(0);
    println!("{:widest$} | check  | with the other variant's protocol", "case");
    let mut unnoticed = Vec::new();
    for case in &cases {
        let swap = swapped(root, case)?;
        println!("{case:widest$} | exit {} | {}", swap.code, swap.verdict);
        if !swap.noticed {
            unnoticed.push(case.as_str());
        }
    }
    ensure!(
        unnoticed.is_empty(),
        "check does not notice the other variant's protocol in: {}",
        unnoticed.join(", ")
    );
    println!("{} cases, each noticed when swapped", cases.len());
    process::run(&mut shootdown(root, "check bugs --mutants")?)?;
    Ok(cases.len())
}

/// Names of the cases in the lines of `check --list --json`.
fn cases(list: &str) -> Result<Vec<String>> {
    let name = |line: &str| {
        let entry: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        entry["name"].as_str().map(str::to_owned).context("a case without a name")
    };
    list.lines().map(name).collect()
}

/// What `check` made of a case with the other variant's protocol.
#[derive(Debug, PartialEq, Eq)]
struct Swap {
    code: String,
    verdict: String,
    noticed: bool,
}

fn swapped(root: &Path, case: &str) -> Result<Swap> {
    let mut command = shootdown(root, &format!("check {case} --swap {case} --json"))?;
    let output = command.output().with_context(|| format!("cannot start {}", line(&command)))?;
    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    verdict(case, output.status.code(), &said.0, &said.1)
}

/// Judges an exit code, the lines of JSON and the closing lines. Only a run that came to its end notices anything.
fn verdict(case: &str, code: Option<i32>, records: &str, closing: &str) -> Result<Swap> {
    let record = records.lines().next().with_context(|| format!("no result for {case}: {closing}"))?;
    let record: Value = serde_json::from_str(record).with_context(|| format!("no JSON: {record}"))?;
    let verdict = record["verdict"].as_str().unwrap_or_default();
    let named = closing.lines().any(|line| line == format!("Not as expected: {case}"));
    Ok(Swap {
        code: code.map_or("none".to_owned(), |code| code.to_string()),
        verdict: verdict.to_owned(),
        noticed: code == Some(1) && named && record["complete"] == true,
    })
}

#[cfg(test)]
mod tests {
    use super::{cases, verdict};

    #[test]
    fn only_a_complete_run_that_fails_by_name_has_noticed() {
        let record = |complete: bool| {
            format!("{{\"name\":\"a/fixed\",\"verdict\":\"violates\",\"complete\":{complete}}}\n")
        };
        let closing = "0 of 1 as expected\nNot as expected: a/fixed\n";
        let noticed = |code, complete, closing: &str| {
            verdict("a/fixed", code, &record(complete), closing).expect("a record").noticed
        };
        assert!(noticed(Some(1), true, closing));
        assert!(!noticed(Some(0), true, closing) && !noticed(None, true, closing));
        assert!(!noticed(Some(1), false, closing));
        assert!(!noticed(Some(1), true, "Not as expected: a/fixed2\n"));
        assert!(verdict("a/fixed", Some(2), "", "error: no such case").is_err());
    }

    #[test]
    fn the_list_is_read_line_by_line() {
        assert_eq!(cases("{\"name\":\"a\"}\n{\"name\":\"b\"}\n").expect("names"), ["a", "b"]);
        assert!(cases("{}\n").is_err() && cases("a table\n").is_err());
    }
}
