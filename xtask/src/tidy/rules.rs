//! Rule numbers: INVARIANTS.md defines them, comments and prose cite them.

use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::comments::comment;
use super::read::{Finding, Source};
use crate::LAST_RULE;

/// The file of the rules.
pub const INVARIANTS: &str = "INVARIANTS.md";

static CITED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bSD-(\d+)").expect("a constant pattern"));

/// A heading, list item or table row that begins with a rule's number.
static DEFINED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?:#+|[-*]|\|)\s*\**`?SD-(\d+)\b").expect("a constant pattern"));

/// Reads all files.
pub fn read(sources: &[Source]) -> Vec<Finding> {
    let Some(invariants) = sources.iter().find(|source| source.path == INVARIANTS) else {
        return vec![Finding {
            path: INVARIANTS.into(),
            line: 1,
            what: "the file of the rules is missing".into(),
        }];
    };
    let defined: BTreeSet<u32> =
        invariants.lines().filter_map(|(_, line)| DEFINED.captures(line)?[1].parse().ok()).collect();
    let missing = (1..=u32::from(LAST_RULE)).filter(|rule| !defined.contains(rule));
    let mut findings: Vec<Finding> =
        missing.map(|rule| invariants.finding(1, format!("no heading defines SD-{rule}"))).collect();
    for source in sources {
        findings.extend(dangling(source, &defined));
    }
    findings
}

/// Finds rules that `source` cites and nobody defined. Strings are left alone: tests name rules that do not exist.
fn dangling(source: &Source, defined: &BTreeSet<u32>) -> Vec<Finding> {
    let cites = |line| match (source.is_rust(), source.is_prose()) {
        (true, _) => comment(line),
        (_, true) => Some(line),
        _ => None,
    };
    let mut findings = Vec::new();
    for (number, text) in source.lines().filter_map(|(number, line)| Some((number, cites(line)?))) {
        for rule in CITED.captures_iter(text) {
            if !rule[1].parse().is_ok_and(|rule| defined.contains(&rule)) {
                findings
                    .push(source.finding(number, format!("SD-{} is not defined in {INVARIANTS}", &rule[1])));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{INVARIANTS, LAST_RULE, read};
    use crate::tidy::read::{Source, source};

    fn invariants() -> Source {
        let rules: String = (1..=LAST_RULE).map(|rule| format!("## SD-{rule} name\n")).collect();
        source(INVARIANTS, &rules)
    }

    #[test]
    fn rules_that_are_defined_may_be_cited() {
        assert_eq!(read(&[invariants(), source("a.rs", "// ORDER(SD-2): x"), source("b.md", "SD-14")]), []);
    }

    #[test]
    fn rules_that_are_not_defined_are_found_in_comments_and_prose_but_not_in_strings() {
        let none = u32::from(LAST_RULE) + 1;
        let rust = source("a.rs", &format!("let x = \"SD-{none}\";\n/// SD-{none}\n"));
        let prose = source("b.md", &format!("SD-1, SD-{none}"));
        let lines: Vec<(String, usize)> =
            read(&[invariants(), rust, prose]).into_iter().map(|f| (f.path, f.line)).collect();
        assert_eq!(lines, [("a.rs".to_owned(), 2), ("b.md".to_owned(), 1)]);
    }

    #[test]
    fn a_rule_without_a_heading_or_no_file_at_all_is_found() {
        assert_eq!(
            read(&[source(INVARIANTS, "## SD-1\n- **SD-2** x\n| SD-3 | y |")]).len(),
            usize::from(LAST_RULE) - 3
        );
        assert_eq!(read(&[]).len(), 1);
    }
}
