//! Links, includes, and code that nothing compiles.

use std::fmt;
use std::path::Path;

use super::read::{Book, Chapter};

/// Something to mend.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    file: String,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

/// Its code is a file in pieces, which the step `own-case` compiles and whose commands it runs.
pub const ELSEWHERE: &str = "modelling-a-protocol.md";
/// Folders of the project: code that begins with one is a path, and must be there.
const FOLDERS: [&str; 6] = ["crates/", "examples/", "kernel/", "docs/", "traces/", "xtask/"];

/// Reads the book, and the project that it speaks of.
pub fn check(root: &Path, book: &Book) -> Vec<Finding> {
    let mut findings: Vec<Finding> = book
        .forgotten
        .iter()
        .map(|file| Finding { file: file.clone(), what: "is not in SUMMARY.md".to_owned() })
        .collect();
    for chapter in &book.chapters {
        let what = problems(root, book, chapter);
        findings.extend(what.into_iter().map(|what| Finding { file: chapter.file.clone(), what }));
    }
    findings
}

fn problems(root: &Path, book: &Book, chapter: &Chapter) -> Vec<String> {
    let mut problems = chapter.problems.clone();
    problems.extend(chapter.links.iter().filter_map(|link| broken(book, chapter, link)));
    if !chapter.headed {
        problems.push("must begin with its one heading of the first level".to_owned());
    }
    if chapter.file != ELSEWHERE
        && chapter.blocks.iter().any(|(language, own)| language.starts_with("rust") && *own)
    {
        problems.push(
            "Rust that nothing compiles: quote a file that is compiled, below `<!-- from FILE[:ANCHOR] -->`"
                .to_owned(),
        );
    }
    let is_path = |code: &&String| {
        FOLDERS.iter().any(|folder| code.starts_with(folder)) && !code.contains(['*', ' ', '{'])
    };
    for path in chapter.inline.iter().filter(is_path) {
        let file = path.split(':').next().unwrap_or_default();
        if !root.join(file).exists() {
            problems.push(format!("names {path}, which is not there"));
        }
    }
    problems
}

/// Says what is wrong with a link, if anything. Pages of others are not fetched.
fn broken(book: &Book, chapter: &Chapter, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let file = if file.is_empty() { chapter.file.as_str() } else { file };
    let Some(target) = book.chapters.iter().find(|chapter| chapter.file == file) else {
        return Some(format!("links to {link}, which is no chapter"));
    };
    let anchor = anchor.filter(|anchor| !target.anchors.iter().any(|known| known == anchor))?;
    Some(format!("links to {link}, and {file} has no heading #{anchor}"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::ci::book::read::{Book, Chapter};
    use std::path::Path;

    fn found(text: &str) -> Vec<String> {
        let chapter = Chapter { file: "a.md".to_owned(), ..Chapter::default() }.parsed(text);
        let other =
            Chapter { file: "b.md".to_owned(), ..Chapter::default() }.parsed("# Other\n\n## Part one\n");
        let book = Book { chapters: vec![chapter, other], forgotten: Vec::new() };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
        check(root, &book).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        assert!(found("# A\n\n[a](#a) [b](b.md) [c](b.md#part-one) [d](https://example.org)\n").is_empty());
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(found("# A\n\n[x](c.md)\n"), ["a.md: links to c.md, which is no chapter"]);
        assert_eq!(
            found("# A\n\n[x](b.md#two)\n"),
            ["a.md: links to b.md#two, and b.md has no heading #two"]
        );
        assert_eq!(found("# A\n\n[x](../../README.md)\n").len(), 1);
    }

    #[test]
    fn code_that_nothing_compiles_and_paths_that_are_not_there_are_found() {
        assert_eq!(found("# A\n\n```rust\nfn a() {}\n```\n").len(), 1);
        assert_eq!(
            found("# A\n\n`crates/none` and `crates/shootdown/src/lib.rs:3` and `crates/*`\n").len(),
            1
        );
        assert_eq!(found("text\n").len(), 1);
    }
}
