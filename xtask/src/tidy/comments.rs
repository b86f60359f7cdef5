//! Comments: their tags, and code that was commented out.

use regex::Regex;
use std::sync::LazyLock;

use super::read::{Finding, Source};

/// A tag at the head of a comment, with what stands in its brackets.
static TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^([A-Z][A-Z]+)(\([^)]*\))?:").expect("a constant pattern"));

/// Tags that are allowed, with what must stand in their brackets. An ordering without a rule is checked apart.
static ALLOWED: LazyLock<[(&str, Regex); 8]> = LazyLock::new(|| {
    [
        ("SAFETY", r"^$"),
        ("INVARIANT", r"^$"),
        ("ORDER", r"^\(SD-\d+(?:, SD-\d+)*\)$"),
        ("HW", r"^$"),
        // Marks what README.md quotes.
        ("README", r"^$"),
        // The same for the book.
        ("ANCHOR", r"^$"),
        ("BUG", r"^\([\w/-]+\)$"),
        (concat!("TO", "DO"), r"^\(#\d+\)$"),
    ]
    .map(|(tag, brackets)| (tag, Regex::new(brackets).expect("a constant pattern")))
});

/// Words that leave work without saying whose; in parts so that this file may name them.
const LOOSE_ENDS: [&str; 3] = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// A line that reads as a statement.
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^(?:(?:let|pub|use|fn|return|struct|impl|mod|static|const|assert\w*!)\b.*[;{]|(?:if|for|while|match|loop)\b.*\{|[\w.:]+\(.*\);|\}+[;,)]*)$";
    Regex::new(pattern).expect("a constant pattern")
});

/// Reads the comments of one Rust file.
pub fn read(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    let lines = source.lines().filter_map(|(number, line)| Some((number, comment(line)?)));
    lines.filter_map(|(number, comment)| Some(source.finding(number, fault(comment)?))).collect()
}

/// Returns the text of a comment on `line`, documentation included.
pub fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("//").or_else(|| line.split_once("; // ").map(|(_, comment)| comment))
}

/// Says what is wrong with a comment, if anything.
fn fault(comment: &str) -> Option<String> {
    if let Some(word) = LOOSE_ENDS.into_iter().find(|word| has_word(comment, word)) {
        return Some(format!("{word} leaves work to nobody: do it, or open an issue and name it"));
    }
    if comment.starts_with(['/', '!']) {
        return None;
    }
    let text = comment.trim();
    if CODE.is_match(text) {
        return Some("code in a comment: delete it, the history keeps it".into());
    }
    // No rule rests on a relaxed access; its comment says why not.
    if text.starts_with("ORDER: relaxed") {
        return None;
    }
    let found = TAG.captures(text)?;
    let (tag, brackets) = (&found[1], found.get(2).map_or("", |brackets| brackets.as_str()));
    let allowed = ALLOWED.iter().any(|(name, inside)| *name == tag && inside.is_match(brackets));
    (!allowed).then(|| {
        let tags: Vec<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
        format!("{tag}{brackets} is no tag; tags are {}, see CONTRIBUTING.md", tags.join(", "))
    })
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::tidy::read::source;

    /// Line numbers with findings in a file of `lines`.
    fn found(lines: &[&str]) -> Vec<usize> {
        read(&source("a.rs", &lines.join("\n"))).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn tags_of_the_house_pass() {
        let lines = [
            "// SAFETY: (1) the pointer is valid.",
            "    // ORDER(SD-2): the bit before the root.",
            "// ORDER(SD-2, SD-4): both.",
            "// ORDER: relaxed; only this CPU writes it.",
            "// BUG(linux-bafb056c): as it was.",
            concat!("// TO", "DO(#12): later."),
            "// HW: the manual, revision 3, section 4.",
            "/// TLB: documentation may begin as it likes.",
        ];
        assert!(found(&lines).is_empty());
    }

    #[test]
    fn other_tags_and_loose_ends_do_not() {
        let lines = [
            "// NOTE: x",
            "// ORDER: without a rule",
            concat!("// TO", "DO: without an issue"),
            concat!("let a = 1; // FIX", "ME"),
            concat!("/// HA", "CK"),
        ];
        assert_eq!(found(&lines), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn code_in_comments_is_found_and_sentences_are_not() {
        let code = ["// let x = 3;", "// self.mask.clear(cpu);", "// }", "// if ready {"];
        assert_eq!(found(&code), [1, 2, 3, 4]);
        let prose = [
            "// Let the other CPU go first;",
            "// if it is ready, go on;",
            "// see `f(x)`;",
            "// for all of them.",
        ];
        assert!(found(&prose).is_empty());
    }
}
