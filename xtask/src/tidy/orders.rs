//! Orderings of the engine: each carries a comment that says what it is for.

use regex::Regex;
use std::sync::LazyLock;

use super::comments::comment;
use super::read::{Finding, Source};

const ENGINE: &str = "crates/shootdown/src/";

/// How many lines above an ordering its comment may begin.
const NEAR: usize = 14;

static ORDERING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\bfence\(|\b(?:Acquire|Release|AcqRel|SeqCst)\b").expect("a constant pattern")
});

/// Reads one file of the engine; `sync` modules define orderings and tests are no protocol.
pub fn read(source: &Source) -> Vec<Finding> {
    let Some(inside) = source.path.strip_prefix(ENGINE) else { return Vec::new() };
    if !source.is_rust() || inside.starts_with("sync") || inside.ends_with("tests.rs") {
        return Vec::new();
    }
    let mut comment_above = None;
    let mut findings = Vec::new();
    for (number, line) in source.lines().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
        let text = line.trim_start();
        if comment(line).is_some_and(|comment| comment.contains("ORDER(")) {
            comment_above = Some(number);
        }
        let code = !text.starts_with("//") && !text.starts_with("use ") && !text.starts_with("pub use ");
        let near = comment_above.is_some_and(|above| number - above <= NEAR);
        if code && ORDERING.is_match(text) && !near {
            findings.push(source.finding(number, "an ordering without an ORDER(SD-n) comment above it"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{NEAR, read};
    use crate::tidy::read::source;

    fn found(path: &str, text: &str) -> Vec<usize> {
        read(&source(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn an_ordering_without_a_comment_is_found() {
        let text =
            "use core::sync::atomic::Ordering::{Acquire, Release};\nx.load(Acquire);\nfence(SeqCst);\n";
        assert_eq!(found("crates/shootdown/src/flush.rs", text), [2, 3]);
    }

    #[test]
    fn a_comment_nearby_is_enough_and_one_far_above_is_not() {
        let near = format!("// ORDER(SD-4): x\n{}fence(SeqCst);\n", "\n".repeat(NEAR - 1));
        assert!(found("crates/shootdown/src/flush.rs", &near).is_empty());
        let far = format!("// ORDER(SD-4): x\n{}fence(SeqCst);\n", "\n".repeat(NEAR));
        assert_eq!(found("crates/shootdown/src/flush.rs", &far), [NEAR + 2]);
    }

    #[test]
    fn tests_the_sync_module_and_other_packages_are_left_alone() {
        let text = "#[cfg(test)]\nmod tests { fn f() { fence(SeqCst); } }\n";
        assert!(found("crates/shootdown/src/flush.rs", text).is_empty());
        for path in [
            "crates/shootdown/src/sync.rs",
            "crates/shootdown/src/flush/tests.rs",
            "crates/explore/src/lib.rs",
        ] {
            assert!(found(path, "fence(SeqCst);\n").is_empty(), "{path}");
        }
    }
}
