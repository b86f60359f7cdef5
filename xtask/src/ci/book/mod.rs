//! The book and the README: rendered by mdBook, checked, and followed.
//!
//! mdBook looks at neither links nor consoles, so this does, beside it:
//! - `follow`, consoles. trycmd runs the commands in a document's `console` blocks, ignores all other blocks, and takes
//!   files from a folder beside the document. Our chapters have their reader write a file from one block, change it by
//!   a diff in the next, and run the command on it: what is run is what the page shows. Outputs are compared by
//!   snapbox, as trycmd's are.
//! - `check`, links. lychee would find files and headings (`--offline --include-fragments`), as one more program to
//!   install, made for the network. It does not know that a chapter may link to chapters alone, the rendered book
//!   having no other pages, or that a path that stands as code must be there.

mod check;
mod document;
mod follow;

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

use super::outcome::Done;
use crate::measure::Differing;
use crate::process;
use document::Document;

/// Where the book is.
const BOOK: &str = "docs/book";
/// Where its chapters are.
const CHAPTERS: &str = "docs/book/src";

/// Renders the book to `target/book`. A chapter that the summary names must exist.
///
/// # Errors
/// mdBook is missing, or refuses.
pub fn render(root: &Path) -> Result<()> {
    let installed = Command::new("mdbook").arg("--version").output();
    ensure!(installed.is_ok(), "mdbook is missing: ./test says how to install it");
    let mut command = Command::new("mdbook");
    process::run(command.current_dir(root).args(["build", BOOK, "--dest-dir"]).arg(root.join("target/book")))
}

/// Renders the book, then looks at what mdBook does not look at, and does what chapters and the README tell their
/// reader to do.
///
/// # Errors
/// Something in it is wrong.
pub fn book(root: &Path) -> Result<Done> {
    render(root)?;
    look(root, Differing::Fails).map(Done::Passed)
}

/// Checks and follows the documents; where what differs is taken, they show what is printed now.
///
/// # Errors
/// Something in them is wrong.
pub fn look(root: &Path, differing: Differing) -> Result<String> {
    let documents = documents(root)?;
    let findings = check::check(root, &documents);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} problems in the book and the README", findings.len());
    }
    let followed = follow::follow(root, &documents, differing)?;
    let links = documents.iter().map(|document| document.links.len()).sum::<usize>();
    Ok(format!("{} documents, {links} links; {followed}", documents.len()))
}

/// The chapters in the order of the summary, which names all of them, and the README.
fn documents(root: &Path) -> Result<Vec<Document>> {
    let read =
        |file: &str| fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"));
    let summary = Document::of("SUMMARY.md", &read(&format!("{CHAPTERS}/SUMMARY.md"))?);
    for entry in fs::read_dir(root.join(CHAPTERS))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let known = name == "SUMMARY.md" || summary.links.contains(&name);
        ensure!(known, "{CHAPTERS}/SUMMARY.md does not name {name}");
    }
    let chapters = summary.links.iter().map(|file| format!("{CHAPTERS}/{file}"));
    chapters.chain(["README.md".to_owned()]).map(|file| Ok(Document::of(&file, &read(&file)?))).collect()
}
