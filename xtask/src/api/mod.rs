//! What each published package offers, as a committed listing: a change of it is seen in review, and a change by accident
//! fails.
//!
//! The listings are read from the sources, so that they come out the same on every toolchain and host; programs that read
//! rustdoc's own output need a nightly one, and another with each. What macros make is not seen: their invocations, and
//! definitions that say `pub`, are listed as they stand.

mod print;
mod source;
mod surface;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

use crate::package::published;

/// What happens to a listing that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differing {
    /// It is a failure, and the difference is printed.
    Fails,
    /// It is the new one.
    IsBlessed,
}

const FOLDER: &str = "docs/api";
const HEAD: &str =
    "# What this package offers, on all hosts and with all features. `cargo xtask api --bless` writes it.\n";

/// Lists each published package and compares; returns how many there are.
///
/// # Errors
/// A listing differs or is missing, or one is there for no package.
pub fn run(root: &Path, differing: Differing) -> Result<usize> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {FOLDER}"))?;
    let packages = published(root)?;
    let (mut known, mut wrong) = (Vec::new(), Vec::new());
    for package in &packages {
        let Some(library) = library(package) else { continue };
        let name = package["name"].as_str().context("a package has a name")?;
        let listing = format!("{HEAD}{}", surface::listing(&source::Crate::read(&library)?));
        let file = folder.join(format!("{name}.txt"));
        let committed = fs::read_to_string(&file).unwrap_or_default();
        if listing != committed {
            match differing {
                Differing::IsBlessed => {
                    fs::write(&file, &listing).with_context(|| format!("cannot write {}", file.display()))?;
                }
                Differing::Fails => wrong.push(difference(name, &committed, &listing)),
            }
        }
        known.push(format!("{name}.txt"));
    }
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(known.contains(&name), "{FOLDER}/{name} is of no published package: delete it");
    }
    ensure!(
        wrong.is_empty(),
        "not what {FOLDER} says; `cargo xtask api --bless` takes it, CHANGELOG.md names it:\n{}",
        wrong.join("\n")
    );
    Ok(known.len())
}

/// Path of the package's library, if it has one.
fn library(package: &Value) -> Option<PathBuf> {
    let is_library =
        |target: &&Value| target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"lib".into()));
    let target = package["targets"].as_array()?.iter().find(is_library)?;
    target["src_path"].as_str().map(PathBuf::from)
}

/// Lines that one of two listings has and the other has not.
fn difference(name: &str, committed: &str, now: &str) -> String {
    let only = |sign: char, of: &str, without: &str| {
        let mut left: Vec<&str> = without.lines().collect();
        let lines = of.lines().filter(|line| match left.iter().position(|other| other == line) {
            Some(at) => {
                left.swap_remove(at);
                false
            }
            None => true,
        });
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    format!("{name}:\n{}{}", only('-', committed, now), only('+', now, committed))
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_names_what_went_and_what_came() {
        let said = difference("x", "a\nb\nb\n", "b\nc\na\n");
        assert_eq!(said, "x:\n- b\n+ c\n");
    }
}
