//! Relaxed accesses of the engine: each says why no order is needed.
//!
//! A stronger access is a named site, which `cargo xtask mutate` weakens. A relaxed one has nothing to weaken, so the
//! question is the other way round: should it be stronger? Its ORDER comment answers by naming a scenario in which
//! other CPUs meet it and which holds with the access as it is, or it says that no other CPU is concerned.

use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::comments::comment;
use super::orders::protocol;
use super::read::{Finding, Source};

/// Where scenarios are written: loom's as functions, the explorer's by name.
const LOOM: &str = "checks/loom/tests/scenarios/";
const EXPLORED: &str = "crates/cases/src/scenarios/";

/// What a comment says where no other CPU's view of the access matters.
const UNSHARED: [&str; 3] = ["only this CPU", "under the lock", "for statistics"];

/// Words of a CPU's own: nobody else reads or writes them (`percpu.rs`, `tags/slots.rs`, `counters.rs`).
static PRIVATE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(?:own|slot|next|last|self\.value)\.").expect("a constant pattern"));

/// How many lines above an access its comment may begin.
const NEAR: usize = 10;

static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"`([a-z0-9_-]+)`").expect("a constant pattern"));
static FUNCTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^pub fn (\w+)\(\)").expect("a constant pattern"));
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""([a-z0-9]+(?:-[a-z0-9]+)+)""#).expect("a constant pattern"));

/// Reads all files.
pub fn read(sources: &[Source]) -> Vec<Finding> {
    let scenarios = scenarios(sources);
    sources.iter().flat_map(|source| of_file(source, &scenarios)).collect()
}

/// Names of all scenarios.
fn scenarios(sources: &[Source]) -> BTreeSet<&str> {
    let named = |folder: &'static str, pattern: &'static Regex| {
        let files = sources.iter().filter(move |source| source.path.starts_with(folder));
        let lines = files.flat_map(|source| source.lines());
        lines.filter_map(move |(_, line)| pattern.captures(line)?.get(1).map(|name| name.as_str()))
    };
    named(LOOM, &FUNCTION).chain(named(EXPLORED, &NAME)).collect()
}

fn of_file(source: &Source, scenarios: &BTreeSet<&str>) -> Vec<Finding> {
    let mut said: Option<(usize, String)> = None;
    let mut going_on = false;
    let mut removed_above = false;
    let mut findings = Vec::new();
    for (number, line) in protocol(source) {
        let text = line.trim_start();
        match (comment(line).filter(|_| text.starts_with("//")), &mut said) {
            (Some(words), _) if words.contains("ORDER") => {
                said = Some((number, words.to_owned()));
                going_on = true;
            }
            (Some(words), Some((_, so_far))) if going_on => so_far.push_str(words),
            (Some(_), _) => {}
            (None, _) => going_on = false,
        }
        let access = text.contains("Ordering::Relaxed") && !text.starts_with("//");
        let exempt = removed_above || text.contains("Site::") || PRIVATE.is_match(text);
        if access && !exempt {
            let near = said.as_ref().filter(|(above, _)| number - above <= NEAR);
            findings.extend(
                reason(near.map(|(_, words)| words.as_str()), scenarios)
                    .map(|what| source.finding(number, what)),
            );
        }
        removed_above = text.starts_with("if without(");
    }
    findings
}

/// The reason that the comment above a relaxed access lacks.
fn reason(comment: Option<&str>, scenarios: &BTreeSet<&str>) -> Option<&'static str> {
    let Some(words) = comment else { return Some("a relaxed access without an ORDER comment above it") };
    let shown = QUOTED.captures_iter(words).any(|name| scenarios.contains(&name[1]));
    let unshared = UNSHARED.iter().any(|phrase| words.contains(phrase));
    (!shown && !unshared).then_some(
        "a relaxed access whose ORDER comment names no scenario that shows that relaxed is enough; \
         or say `only this CPU`, `under the lock` or `for statistics`, if that is why",
    )
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::tidy::read::source;

    fn found(text: &str) -> Vec<usize> {
        let loom = source("checks/loom/tests/scenarios/a.rs", "pub fn two_flushers() {\n");
        let explored =
            source("crates/cases/src/scenarios/a.rs", "list.scenario::<Plain>(\"lazy-return\", TWO)\n");
        let findings = read(&[loom, explored, source("crates/shootdown/src/flush.rs", text)]);
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_relaxed_access_needs_a_scenario_or_a_reason() {
        let access = "x.load(Ordering::Relaxed);\n";
        assert_eq!(found(access), [1]);
        assert_eq!(found(&format!("// ORDER: relaxed; it is fine.\n{access}")), [2]);
        assert_eq!(found(&format!("// ORDER(SD-4): relaxed: `no_such_scenario`.\n{access}")), [2]);
        for reason in ["`two_flushers`", "explored by\n// `lazy-return`", "only this CPU writes it"] {
            assert!(found(&format!("// ORDER(SD-4): relaxed; {reason}.\n{access}")).is_empty(), "{reason}");
        }
    }

    #[test]
    fn a_later_comment_takes_the_place_of_an_earlier_one() {
        let text = "// ORDER: `two_flushers`.\ny();\n// ORDER: no reason.\nx.load(Ordering::Relaxed);\n";
        assert_eq!(found(text), [4]);
        let text = "// ORDER: relaxed.\ny();\n// By the way: `two_flushers`.\nx.load(Ordering::Relaxed);\n";
        assert_eq!(found(text), [4], "another comment is not the ordering's");
    }

    #[test]
    fn private_words_named_sites_and_removed_rules_are_left_alone() {
        let text = "self.local.own.tag.load(Ordering::Relaxed);\n\
                    x.compare_exchange(0, 1, Site::Take.acquire(), Ordering::Relaxed);\n\
                    if without(Rule::Publish) {\n    x.load(Ordering::Relaxed);\n}\n";
        assert!(found(text).is_empty());
    }
}
