//! The book: rendered by mdBook, checked, and followed.

mod check;
mod follow;
mod include;
mod read;

use anyhow::{Result, bail, ensure};
use std::path::Path;
use std::process::Command;

use super::steps::Done;
use crate::process;
use read::Book;

/// Where the book is.
const BOOK: &str = "docs/book";

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

/// Renders the book, then looks at what mdBook does not look at, and does what chapters tell their reader to do.
///
/// # Errors
/// Something in it is wrong.
pub fn book(root: &Path) -> Result<Done> {
    render(root)?;
    let book = Book::read(&root.join(BOOK).join("src"))?;
    let findings = check::check(root, &book);
    for finding in &findings {
        println!("{BOOK}/src/{finding}");
    }
    if !findings.is_empty() {
        bail!("{} problems in the book", findings.len());
    }
    let followed = follow::follow(root, &book)?;
    Ok(Done::Passed(format!(
        "{} chapters, {} links; {followed}; rendered to target/book",
        book.chapters.len(),
        book.chapters.iter().map(|chapter| chapter.links.len()).sum::<usize>()
    )))
}
