//! The book: read, checked, rendered, and followed.

mod check;
mod follow;
mod include;
mod read;
mod render;

use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

use super::steps::Done;
use crate::process;
use read::Book;

/// Where the book is.
const BOOK: &str = "docs/book";

pub fn book(root: &Path) -> Result<Done> {
    let book = Book::read(&root.join(BOOK).join("src"))?;
    let findings = check::check(root, &book);
    for finding in &findings {
        println!("{BOOK}/src/{finding}");
    }
    if !findings.is_empty() {
        bail!("{} problems in the book", findings.len());
    }
    render::render(&book, &root.join("target/book"))?;
    let mdbook = Command::new("mdbook").arg("--version").output().is_ok();
    if mdbook {
        let mut command = Command::new("mdbook");
        process::run(
            command.current_dir(root).args(["build", BOOK, "--dest-dir"]).arg(root.join("target/mdbook")),
        )?;
    }
    let followed = follow::follow(root, &book)?;
    let with = if mdbook { "by mdbook, too" } else { "mdbook is not installed and not needed" };
    Ok(Done::Passed(format!(
        "{} chapters, {} links; {followed}; rendered to target/book ({with})",
        book.chapters.len(),
        book.chapters.iter().map(|chapter| chapter.links.len()).sum::<usize>()
    )))
}
