//! Puts the other variant's protocol into each bug case, one at a time: `shootdown check` must exit 1 and name the
//! case. Bug cases that would pass whatever their protocols are show nothing. Then takes each step of each fix out.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;

use crate::process::{self, Checked, checked, shootdown};

/// Swaps every case, prints a table, and says how many there are.
///
/// # Errors
/// The command cannot be run, or a swap is not noticed.
pub fn run(root: &Path) -> Result<String> {
    let Checked { status, records, said } = checked(root, "bugs --list")?;
    ensure!(status.success(), "the bugs cannot be listed: {said}");
    let name = |entry: &Value| entry["name"].as_str().map(str::to_owned).context("a case without a name");
    let cases = records.iter().map(name).collect::<Result<Vec<_>>>()?;
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
    process::run(&mut shootdown(root, "check bugs --mutants")?)?;
    Ok(format!("{} cases, each noticed when swapped; steps of fixes, too", cases.len()))
}

/// What `check` made of a case with the other variant's protocol.
#[derive(Debug, PartialEq, Eq)]
struct Swap {
    code: String,
    verdict: String,
    noticed: bool,
}

fn swapped(root: &Path, case: &str) -> Result<Swap> {
    checked(root, &format!("{case} --swap {case}"))
        .map(|checked| verdict(case, checked.status.code(), &checked.records[0], &checked.said))
}

/// Judges an exit code, the first record and the closing lines. Only a run that came to its end notices anything.
fn verdict(case: &str, code: Option<i32>, record: &Value, closing: &str) -> Swap {
    let named = closing.lines().any(|line| line == format!("Not as expected: {case}"));
    Swap {
        code: code.map_or("none".to_owned(), |code| code.to_string()),
        verdict: record["verdict"].as_str().unwrap_or_default().to_owned(),
        noticed: code == Some(1) && named && record["complete"] == true,
    }
}

#[cfg(test)]
mod tests {
    use super::verdict;
    use serde_json::json;

    #[test]
    fn only_a_complete_run_that_fails_by_name_has_noticed() {
        let record = |complete: bool| json!({"name": "a/fixed", "verdict": "violates", "complete": complete});
        let closing = "0 of 1 as expected\nNot as expected: a/fixed\n";
        let noticed =
            |code, complete, closing: &str| verdict("a/fixed", code, &record(complete), closing).noticed;
        assert!(noticed(Some(1), true, closing));
        assert!(!noticed(Some(0), true, closing) && !noticed(None, true, closing));
        assert!(!noticed(Some(1), false, closing));
        assert!(!noticed(Some(1), true, "Not as expected: a/fixed2\n"));
    }
}
