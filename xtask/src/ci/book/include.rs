//! What chapters include from files that are compiled.

use std::fs;
use std::path::Path;

const OPEN: &str = "{{#include ";

/// Replaces each line that includes a file, or a part of one, by that; says what could not be.
pub fn expand(text: &str, chapter: &Path) -> (String, Vec<String>) {
    let (mut out, mut problems) = (String::new(), Vec::new());
    for line in text.lines() {
        let included = line.trim().strip_prefix(OPEN).and_then(|rest| rest.strip_suffix("}}"));
        match included.map(|what| included_text(what, chapter)) {
            None => out += &format!("{line}\n"),
            Some(Ok(text)) => out += &text,
            Some(Err(problem)) => problems.push(problem),
        }
    }
    (out, problems)
}

fn included_text(what: &str, chapter: &Path) -> Result<String, String> {
    let (file, part) = what.split_once(':').map_or((what, None), |(file, part)| (file, Some(part)));
    let path = chapter.parent().unwrap_or(chapter).join(file);
    let text = fs::read_to_string(&path).map_err(|error| format!("includes {file}: {error}"))?;
    let lines = match part {
        None => Some(text.as_str()),
        Some(part) => anchored(&text, part),
    };
    let lines = lines.ok_or_else(|| format!("includes {what}: there is no such anchor"))?;
    let is_mark = |line: &&str| line.contains("ANCHOR: ") || line.contains("ANCHOR_END: ");
    Ok(lines.lines().filter(|line| !is_mark(line)).map(|line| format!("{line}\n")).collect())
}

/// The lines between the marks of a part.
fn anchored<'t>(text: &'t str, part: &str) -> Option<&'t str> {
    let ends_line = |mark: &str| {
        let at =
            text.match_indices(mark).find(|(at, _)| text[at + mark.len()..].starts_with(['\n', '\r']))?;
        Some(at.0)
    };
    let begin = ends_line(&format!("ANCHOR: {part}"))?;
    let begin = begin + text[begin..].find('\n')? + 1;
    let end = ends_line(&format!("ANCHOR_END: {part}"))?;
    let end = text[..end].rfind('\n')? + 1;
    text.get(begin..end)
}

#[cfg(test)]
mod tests {
    use super::{anchored, expand};
    use std::path::Path;

    const TEXT: &str = "a\n// ANCHOR: one\nb\n// ANCHOR: two\nc\n// ANCHOR_END: two\n// ANCHOR_END: one\nd\n";

    #[test]
    fn a_part_is_what_stands_between_its_marks() {
        assert_eq!(anchored(TEXT, "two"), Some("c\n"));
        assert_eq!(anchored(TEXT, "one"), Some("b\n// ANCHOR: two\nc\n// ANCHOR_END: two\n"));
        assert_eq!(anchored(TEXT, "on"), None);
    }

    #[test]
    fn what_is_not_there_is_a_problem() {
        let (text, problems) = expand("x\n{{#include none.rs}}\ny\n", Path::new("docs/a.md"));
        assert_eq!(text, "x\ny\n");
        assert!(problems[0].starts_with("includes none.rs: "), "{problems:?}");
    }
}
