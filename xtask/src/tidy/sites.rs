//! Named orderings: the engine lists them, its code uses each, INVARIANTS.md describes each.

use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::orders::{SITES, protocol};
use super::read::{Finding, Source};
use super::rules::INVARIANTS;

/// One entry of the engine's list: `FlushFence = "flush-fence",`.
pub static LISTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s+(\w+) = "([a-z-]+)",$"#).expect("a constant pattern"));

/// A list item or table row that begins with a name in backquotes.
static DESCRIBED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?:[-*]|\|)\s*`([a-z][a-z-]*)`").expect("a constant pattern"));

/// A use of one in code.
pub static USED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bSite::(\w+)").expect("a constant pattern"));

/// Reads all files.
pub fn read(sources: &[Source]) -> Vec<Finding> {
    let (list, invariants) = (file(sources, SITES), file(sources, INVARIANTS));
    let (Some(list), Some(invariants)) = (list, invariants) else { return Vec::new() };
    let described: Vec<(usize, &str)> =
        invariants.lines().filter_map(|(number, line)| Some((number, capture(&DESCRIBED, line)?))).collect();
    let used: BTreeSet<&str> = sources
        .iter()
        .flat_map(protocol)
        .flat_map(|(_, line)| USED.captures_iter(line))
        .filter_map(|found| found.get(1).map(|name| name.as_str()))
        .collect();
    let mut listed = BTreeSet::new();
    let mut findings = Vec::new();
    for (number, found) in list.lines().filter_map(|(number, line)| Some((number, LISTED.captures(line)?))) {
        let [ident, name] = found.extract().1;
        listed.insert(name.to_owned());
        if !described.iter().any(|(_, described)| *described == name) {
            findings.push(list.finding(number, format!("{INVARIANTS} does not describe `{name}`")));
        }
        if !used.contains(ident) {
            findings.push(list.finding(number, format!("nothing uses Site::{ident}")));
        }
    }
    let unknown = described.iter().filter(|(_, name)| !listed.contains(*name));
    findings.extend(
        unknown.map(|(at, name)| invariants.finding(*at, format!("the engine has no site `{name}`"))),
    );
    findings
}

fn file<'s>(sources: &'s [Source], path: &str) -> Option<&'s Source> {
    sources.iter().find(|source| source.path == path)
}

fn capture<'t>(pattern: &Regex, text: &'t str) -> Option<&'t str> {
    pattern.captures(text)?.get(1).map(|name| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::{INVARIANTS, SITES, read};
    use crate::tidy::read::source;

    #[test]
    fn list_code_and_description_must_agree() {
        let list = "sites! {\n    FlushFence = \"flush-fence\",\n    IpiRequest = \"ipi-request\",\n    Idle = \"idle\",\n}\n";
        let code = "Site::FlushFence.full_fence();\nSite::IpiRequest.release();\n";
        let described = "| site | rule |\n| `flush-fence` | SD-4 |\n- `idle`: SD-1\n- `gone`: SD-1\n";
        let findings = read(&[
            source(SITES, list),
            source("crates/shootdown/src/flush.rs", code),
            source(INVARIANTS, described),
        ]);
        let said: Vec<(usize, &str)> = findings.iter().map(|f| (f.line, f.what.as_str())).collect();
        assert_eq!(
            said,
            [
                (3, "INVARIANTS.md does not describe `ipi-request`"),
                (4, "nothing uses Site::Idle"),
                (4, "the engine has no site `gone`"),
            ]
        );
    }
}
