//! Whole files: what no file may hold.

use regex::Regex;
use std::sync::LazyLock;

use super::read::{Finding, Source};

/// Folders that exist on one machine only.
static MACHINE_PATH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[^\w./-])/(?:work|root)(?:/|\W|$)").expect("a constant pattern"));

/// Code that never runs, or tests that are never run; written in two parts so that this file may name them.
const NEVER_RUNS: [(&str, &str); 3] = [
    (concat!("if ", "false"), "code that never runs: delete it"),
    (concat!("cfg(", "any())"), "code that is never compiled: delete it"),
    (concat!("#[", "ignore"), "a test that is not run tests nothing: mend or delete it"),
];

/// Reads one file.
pub fn read(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines() {
        if MACHINE_PATH.is_match(line) && source.path != "Cargo.lock" {
            findings.push(source.finding(number, "a path of one machine"));
        }
    }
    if !source.is_rust() {
        return findings;
    }
    for (number, line) in source.lines() {
        for (pattern, what) in NEVER_RUNS {
            if line.contains(pattern) {
                findings.push(source.finding(number, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::tidy::read::source;

    #[test]
    fn paths_of_one_machine_are_found_and_their_like_are_not() {
        for folder in ["work", "root"] {
            for text in [format!("see /{folder}/x"), format!("(/{folder})"), format!("\"/{folder}\"")] {
                assert_eq!(read(&source("a.md", &text)).len(), 1, "{text}");
            }
            for text in
                [format!("a/{folder}/b"), format!("/{folder}s"), format!("./{folder}"), folder.to_owned()]
            {
                assert!(read(&source("a.md", &text)).is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn code_and_tests_that_never_run_are_found() {
        for (pattern, _) in super::NEVER_RUNS {
            assert_eq!(read(&source("a.rs", &format!("x\n{pattern}"))).first().map(|f| f.line), Some(2));
        }
    }
}
