//! Orderings of the engine: each carries a comment that says which rule it is for.

use regex::Regex;
use std::sync::LazyLock;

use super::comments::comment;
use super::read::{Finding, Source};

/// Folder of the engine's sources.
pub const ENGINE: &str = "crates/shootdown/src/";
/// The engine's list of its orderings.
pub const SITES: &str = "crates/shootdown/src/fault.rs";

/// How many lines above an ordering its comment may begin.
const NEAR: usize = 8;

static ORDERING: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"\bfence\(|\bSite::\w+\.\w+\(|\b(?:Acquire|Release|AcqRel|SeqCst)\b";
    Regex::new(pattern).expect("a constant pattern")
});

/// Reads one file of the engine.
pub fn read(source: &Source) -> Vec<Finding> {
    let mut comment_above = None;
    let mut removed_above = false;
    let mut findings = Vec::new();
    for (number, line) in protocol(source) {
        let text = line.trim_start();
        if comment(line).is_some_and(|comment| comment.contains("ORDER(")) {
            comment_above = Some(number);
        }
        let code = !text.starts_with("//") && !text.starts_with("use ") && !text.starts_with("pub use ");
        let near = comment_above.is_some_and(|above| number - above <= NEAR);
        // What runs in a removed rule's place is wrong on purpose and orders nothing.
        if code && ORDERING.is_match(text) && !near && !removed_above {
            findings.push(source.finding(number, "an ordering without an ORDER(SD-n) comment above it"));
        }
        removed_above = text.starts_with("if without(");
    }
    findings
}

/// Parts of the engine's folder that are no protocol: `sync` defines orderings, the ports are the platform's side, and
/// the sanitizer only watches.
const OUTSIDE: [&str; 3] = ["sync", "ports/", "sanitizer/"];

/// Yields the lines of `source` that belong to the protocol. The list of sites defines orderings, and tests are no
/// protocol.
pub fn protocol(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let inside = source.path.strip_prefix(ENGINE).filter(|_| source.is_rust() && source.path != SITES);
    let tests = ["tests.rs", "properties.rs"];
    let inside = inside.filter(|inside| {
        !OUTSIDE.iter().any(|part| inside.starts_with(part)) && !tests.iter().any(|end| inside.ends_with(end))
    });
    source.lines().take_while(move |(_, line)| inside.is_some() && line.trim() != "#[cfg(test)]")
}

#[cfg(test)]
mod tests {
    use super::{NEAR, SITES, read};
    use crate::tidy::read::source;

    fn found(path: &str, text: &str) -> Vec<usize> {
        read(&source(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn an_ordering_without_a_comment_is_found() {
        let text = "use core::sync::atomic::Ordering::{Acquire, Release};\n\
                    x.load(Acquire);\nfence(SeqCst);\nSite::IpiRequest.full_fence();\nx.load(Relaxed);\n";
        assert_eq!(found("crates/shootdown/src/flush.rs", text), [2, 3, 4]);
    }

    #[test]
    fn a_comment_nearby_is_enough_and_one_far_above_is_not() {
        let near = format!("// ORDER(SD-4): x\n{}fence(SeqCst);\n", "\n".repeat(NEAR - 1));
        assert!(found("crates/shootdown/src/flush.rs", &near).is_empty());
        let far = format!("// ORDER(SD-4): x\n{}fence(SeqCst);\n", "\n".repeat(NEAR));
        assert_eq!(found("crates/shootdown/src/flush.rs", &far), [NEAR + 2]);
        assert_eq!(found("crates/shootdown/src/flush.rs", "// ORDER: relaxed\nfence(SeqCst);\n"), [2]);
    }

    #[test]
    fn what_runs_in_a_removed_rules_place_needs_no_comment() {
        let text = "if without(Rule::AckAfterFlush) {\n    x.store(1, Release);\n}\nx.store(1, Release);\n";
        assert_eq!(found("crates/shootdown/src/this_cpu.rs", text), [4]);
    }

    #[test]
    fn tests_the_sync_module_the_sanitizer_and_other_packages_are_left_alone() {
        let text = "#[cfg(test)]\nmod tests { fn f() { fence(SeqCst); } }\n";
        assert!(found("crates/shootdown/src/flush.rs", text).is_empty());
        let others = [
            "crates/shootdown/src/sync.rs",
            "crates/shootdown/src/sanitizer/cpu.rs",
            "crates/shootdown/src/flush/tests.rs",
            "crates/explore/src/a.rs",
        ];
        for path in others.into_iter().chain([SITES]) {
            assert!(found(path, "fence(SeqCst);\n").is_empty(), "{path}");
        }
    }
}
