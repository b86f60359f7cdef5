//! Rules: `shootdown::trace::rules` has them, INVARIANTS.md says the same and cites the code that keeps them, comments
//! and prose cite their numbers.

use regex::Regex;
use std::sync::LazyLock;

use super::comments::comment;
use super::read::{Finding, Source};
use shootdown::trace::rules::Rule;

/// The file of the rules.
pub const INVARIANTS: &str = "INVARIANTS.md";

static CITED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bSD-(\d+)").expect("a constant pattern"));

/// A file of the engine in a table, and the functions and types behind it: "`flush.rs` `send`, `Ticket`".
pub static PLACES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"`((?:\w+/)?\w+\.rs)`((?:,? `[A-Za-z_:]+`)*)").expect("a constant pattern"));
/// A name in backquotes.
pub static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"`([A-Za-z_:]+)`").expect("a constant pattern"));

/// Where the files lie that INVARIANTS.md cites.
const ENGINE: &str = "crates/shootdown/src/";

/// Reads all files.
pub fn read(sources: &[Source]) -> Vec<Finding> {
    let Some(invariants) = sources.iter().find(|source| source.path == INVARIANTS) else {
        return vec![Finding {
            path: INVARIANTS.into(),
            line: 1,
            what: "the file of the rules is missing".into(),
        }];
    };
    let mut findings = other_words(invariants);
    findings.extend(places_that_are_not_there(invariants, sources));
    for source in sources {
        findings.extend(dangling(source));
    }
    findings
}

/// Finds rows of INVARIANTS.md that do not say what the table of rules says.
fn other_words(invariants: &Source) -> Vec<Finding> {
    let lines: Vec<&str> = invariants.lines().map(|(_, line)| line).collect();
    let mut findings = Vec::new();
    for rule in Rule::ALL {
        let number = rule.number();
        let cases: Vec<String> = rule.caught_by().iter().map(|case| format!("`{case}`")).collect();
        let says = format!("| SD-{number} | {} |", rule.says());
        let in_qemu = format!("| SD-{number} | {} |", rule.in_qemu());
        let switch = format!("| {} | {} |", rule.switch(), cases.join("; "));
        if !lines.contains(&says.as_str()) {
            findings
                .push(invariants.finding(1, format!("no row {says:?}, as shootdown::trace::rules has it")));
        }
        if !lines.contains(&in_qemu.as_str()) {
            findings.push(
                invariants.finding(1, format!("no row {in_qemu:?}, as shootdown::trace::rules has it")),
            );
        }
        let row = format!("| SD-{number} |");
        if !lines.iter().any(|line| line.starts_with(&row) && line.ends_with(&switch)) {
            let what =
                format!("no row of SD-{number} that ends in {switch:?}, as shootdown::trace::rules has it");
            findings.push(invariants.finding(1, what));
        }
    }
    findings
}

/// Finds functions and types that INVARIANTS.md cites and that are not in the file that it names.
fn places_that_are_not_there(invariants: &Source, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in invariants.lines().filter(|(_, line)| line.starts_with('|')) {
        for place in PLACES.captures_iter(line) {
            let Some(source) = sources.iter().find(|source| source.path == format!("{ENGINE}{}", &place[1]))
            else {
                findings.push(invariants.finding(number, format!("the engine has no {}", &place[1])));
                continue;
            };
            for name in NAME.captures_iter(&place[2]) {
                let missing = name[1].split("::").filter(|name| !defines(source, name));
                findings.extend(missing.map(|name| {
                    invariants.finding(number, format!("{} has no function or type {name}", &place[1]))
                }));
            }
        }
    }
    findings
}

/// Whether a file has a function or a type of that name, or implements something for it.
fn defines(source: &Source, name: &str) -> bool {
    let begins = [
        format!("fn {name}("),
        format!("fn {name}<"),
        format!("struct {name}"),
        format!("enum {name}"),
        format!("{name}<P> {{"),
        format!(" {name} {{"),
    ];
    source.lines().any(|(_, line)| begins.iter().any(|begin| line.contains(begin)))
}

/// Finds rules that `source` cites and that do not exist. Strings are left alone: tests name rules that do not exist.
fn dangling(source: &Source) -> Vec<Finding> {
    let cites = |line| match (source.is_rust(), source.is_prose()) {
        (true, _) => comment(line),
        (_, true) => Some(line),
        _ => None,
    };
    let mut findings = Vec::new();
    for (number, text) in source.lines().filter_map(|(number, line)| Some((number, cites(line)?))) {
        for rule in CITED.captures_iter(text) {
            if rule[1].parse().ok().and_then(Rule::of).is_none() {
                findings
                    .push(source.finding(number, format!("shootdown::trace::rules has no SD-{}", &rule[1])));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{INVARIANTS, Rule, read};
    use crate::tidy::read::{Source, source};

    fn rows() -> Vec<String> {
        let rows = |rule: &Rule| {
            let cases: Vec<String> = rule.caught_by().iter().map(|case| format!("`{case}`")).collect();
            let number = rule.number();
            let (says, switch) = (rule.says(), rule.switch());
            [
                format!("| SD-{number} | {says} |"),
                format!("| SD-{number} | {} |", rule.in_qemu()),
                format!("| SD-{number} | `a.rs` `keeps` | x | {switch} | {} |", cases.join("; ")),
            ]
        };
        Rule::ALL.iter().flat_map(rows).collect()
    }

    fn engine() -> Source {
        source("crates/shootdown/src/a.rs", "fn keeps() {}\n")
    }

    #[test]
    fn rules_that_there_are_may_be_cited() {
        let invariants = source(INVARIANTS, &rows().join("\n"));
        let cites = [source("a.rs", "// ORDER(SD-2): x"), source("b.md", "SD-14")];
        let [rust, prose] = cites;
        assert_eq!(read(&[invariants, engine(), rust, prose]), []);
    }

    #[test]
    fn rules_that_there_are_not_are_found_in_comments_and_prose_but_not_in_strings() {
        let none = shootdown::trace::rules::LAST + 1;
        let rust = source("a.rs", &format!("let x = \"SD-{none}\";\n/// SD-{none}\n"));
        let prose = source("b.md", &format!("SD-1, SD-{none}"));
        let invariants = source(INVARIANTS, &rows().join("\n"));
        let lines: Vec<(String, usize)> =
            read(&[invariants, engine(), rust, prose]).into_iter().map(|f| (f.path, f.line)).collect();
        assert_eq!(lines, [("a.rs".to_owned(), 2), ("b.md".to_owned(), 1)]);
    }

    #[test]
    fn a_row_that_says_something_else_and_no_file_at_all_are_found() {
        let invariants =
            source(INVARIANTS, &rows().join("\n").replacen("its bit is set", "its bit is clear", 1));
        let found = read(&[invariants, engine()]);
        assert!(matches!(&found[..], [one] if one.what.contains("its bit is set")), "{found:?}");
        let invariants = source(INVARIANTS, &rows().join("\n").replacen("a hang", "nothing", 1));
        let found = read(&[invariants, engine()]);
        assert!(matches!(&found[..], [one] if one.what.contains("a hang")), "{found:?}");
        assert_eq!(read(&[]).len(), 1);
    }

    #[test]
    fn functions_and_files_that_are_cited_and_not_there_are_found() {
        let mut rows = rows();
        rows.push("| a mark stays | `a.rs` `keeps`, `loses` | `b.rs` |".into());
        let found = read(&[source(INVARIANTS, &rows.join("\n")), engine()]);
        let what: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(what, ["a.rs has no function or type loses", "the engine has no b.rs"]);
    }
}
