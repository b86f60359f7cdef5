//! Reads the sources for what compilers do not look at.

mod bugs;
mod comments;
mod content;
mod orders;
mod partners;
mod programs;
mod read;
mod relaxed;
mod rules;
mod sites;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

use crate::files;
use read::Source;

/// Reads all files that git knows or would know; returns how many.
///
/// # Errors
/// There is something to mend; it is printed.
pub fn run(root: &Path) -> Result<usize> {
    let sources = sources(root)?;
    let mut findings = rules::read(&sources);
    findings.extend(sites::read(&sources));
    findings.extend(partners::read(&sources));
    findings.extend(relaxed::read(&sources));
    findings.extend(bugs::read(&sources));
    findings.extend(programs::read(&sources));
    for source in &sources {
        findings.extend(content::read(source));
        findings.extend(comments::read(source));
        findings.extend(orders::read(source));
    }
    for finding in &findings {
        println!("{finding}");
    }
    let headers = bugs::headers(root)?;
    for header in &headers {
        println!("{header}");
    }
    let wrong = findings.len() + headers.len();
    if wrong > 0 {
        bail!("tidy: {wrong} problems");
    }
    Ok(sources.len())
}

/// Reads the text files; those that are not text have nothing to be read for.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let read = |path: PathBuf| {
        let text = std::fs::read(root.join(&path)).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
        Some(Source { path: path.to_str()?.to_owned(), text })
    };
    Ok(files::sources(root)?.into_iter().filter_map(read).collect())
}
