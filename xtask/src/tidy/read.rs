use anyhow::{Result, bail};
use std::fmt;
use std::path::Path;
use std::process::Command;

use super::{bugs, comments, files, orders, relaxed, rules, sites};
use crate::process;

/// A file of the project.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the workspace's folder.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl Source {
    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    /// Whether it is prose.
    pub fn is_prose(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "md")
    }

    /// Yields its lines with their numbers from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// Reports something at `line`.
    pub fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into() }
    }
}

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The fault.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Reads all files that git knows or would know; returns how many.
///
/// # Errors
/// There is something to mend; it is printed.
pub fn run(root: &Path) -> Result<usize> {
    let sources = sources(root)?;
    let mut findings = rules::read(&sources);
    findings.extend(sites::read(&sources));
    findings.extend(relaxed::read(&sources));
    findings.extend(bugs::read(&sources));
    for source in &sources {
        findings.extend(files::read(source));
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
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let paths = process::read(&mut git)?;
    let read = |path: &str| {
        let text = std::fs::read(root.join(path)).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
        Some(Source { path: path.to_owned(), text })
    };
    Ok(paths.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect())
}

/// Makes a file for tests of readers.
#[cfg(test)]
pub fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}
