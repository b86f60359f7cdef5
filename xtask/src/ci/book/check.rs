//! Links, and paths that documents name.

use std::path::Path;

use super::CHAPTERS;
use super::document::Document;

/// Folders of the project: code that begins with one is a path, and must be there.
const FOLDERS: [&str; 6] = ["crates/", "examples/", "kernel/", "docs/", "traces/", "xtask/"];

/// Reads the documents, and the project that they speak of; returns what is to be mended.
pub fn check(root: &Path, documents: &[Document]) -> Vec<String> {
    let mut found = Vec::new();
    for document in documents {
        let problems = problems(root, documents, document);
        found.extend(problems.iter().map(|what| format!("{}: {what}", document.file)));
    }
    found
}

fn problems(root: &Path, documents: &[Document], document: &Document) -> Vec<String> {
    let mut problems = document.problems.clone();
    problems.extend(document.links.iter().filter_map(|link| broken(root, documents, document, link)));
    if !document.headed {
        problems.push("must begin with its one heading of the first level".to_owned());
    }
    let is_path = |code: &&String| {
        FOLDERS.iter().any(|folder| code.starts_with(folder)) && !code.contains(['*', ' ', '{'])
    };
    let missing = |path: &&String| !root.join(path.split(':').next().unwrap_or_default()).exists();
    let paths = document.inline.iter().filter(is_path).filter(missing);
    problems.extend(paths.map(|path| format!("names {path}, which is not there")));
    problems
}

/// Says what is wrong with a link, if anything. Pages of others are not fetched.
fn broken(root: &Path, documents: &[Document], document: &Document, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let file = match document.file.rsplit_once('/') {
        _ if file.is_empty() => document.file.clone(),
        Some((folder, _)) => format!("{folder}/{file}"),
        None => file.to_owned(),
    };
    let target = documents.iter().find(|document| document.file == file);
    // The rendered book has no other pages than chapters.
    let is_there = target.is_some() || !document.file.starts_with(CHAPTERS) && root.join(&file).exists();
    if !is_there {
        return Some(format!("links to {link}, which is not there"));
    }
    let known =
        |anchor: &&str| target.is_some_and(|target| target.anchors.iter().any(|known| known == anchor));
    anchor
        .filter(|anchor| !known(anchor))
        .map(|anchor| format!("links to {link}, and {file} has no heading #{anchor}"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::ci::book::document::Document;
    use std::path::Path;

    fn found(text: &str) -> Vec<String> {
        let files = [("docs/book/src/a.md", text), ("docs/book/src/b.md", "# Other\n\n## Part one\n")];
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
        check(root, &files.map(|(file, text)| Document::of(file, text)))
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        assert!(found("# A\n\n[a](#a) [b](b.md) [c](b.md#part-one) [d](https://example.org)\n").is_empty());
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(found("# A\n\n[x](c.md)\n"), ["docs/book/src/a.md: links to c.md, which is not there"]);
        assert_eq!(found("# A\n\n[x](b.md#two)\n").len(), 1);
        assert_eq!(found("# A\n\n[x](../../../README.md)\n").len(), 1, "the book has no such page");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
        let readme = |text: &str| check(root, &[Document::of("README.md", text)]);
        assert_eq!(readme("# A\n\n[x](INVARIANTS.md)\n"), [""; 0]);
        assert_eq!(readme("# A\n\n[x](INVARIANT.md)\n").len(), 1);
    }

    #[test]
    fn paths_that_are_not_there_and_missing_headings_are_found() {
        assert_eq!(
            found("# A\n\n`crates/none` and `crates/shootdown/src/lib.rs:3` and `crates/*`\n").len(),
            1
        );
        assert_eq!(found("text\n").len(), 1);
    }
}
