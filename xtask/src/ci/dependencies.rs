//! What the packages depend on: whether it may be shipped, whether it is current, and whether it has known holes.

use anyhow::{Result, ensure};
use std::path::Path;
use std::process::Command;

use super::outcome::Done;
use crate::process::{self, cargo};

/// Looks at the licences, the sources and the bans of everything in the lock file, and again, by a shorter list of
/// licences, at what is shipped.
///
/// # Errors
/// cargo-deny is missing, or refuses a dependency.
pub fn licences(root: &Path) -> Result<()> {
    let installed = Command::new("cargo").args(["deny", "--version"]).output();
    ensure!(
        installed.is_ok_and(|output| output.status.success()),
        "cargo-deny is missing: ./test says how to install it"
    );
    process::run(&mut cargo(root, "deny --locked check licenses bans sources"))?;
    process::run(&mut cargo(root, "deny --locked --config deny.shipped.toml check licenses"))
}

/// Lists dependencies of which the registry has newer releases that fit, and looks for advisories against those in use.
/// A newer release fails nothing: the same commit must pass tomorrow. An advisory does.
///
/// # Errors
/// There is an advisory against a dependency.
pub fn dependencies(root: &Path) -> Result<Done> {
    let newer = cargo(root, "update --dry-run --verbose").output()?;
    if !newer.status.success() {
        return Ok(Done::Skipped("the registry cannot be reached".into()));
    }
    let printed = String::from_utf8_lossy(&newer.stderr);
    let newer = newer_releases(&printed);
    newer.iter().for_each(|release| println!("{release}"));
    let behind = format!("{} newer releases", newer.len());
    if !cargo(root, "deny --locked fetch db").output()?.status.success() {
        return Ok(Done::Skipped(format!("{behind}; RustSec's database of advisories cannot be reached")));
    }
    process::run(&mut cargo(root, "deny --locked check --disable-fetch advisories"))?;
    Ok(Done::Passed(format!("{behind}; no advisories")))
}

/// What `cargo update` would take, from what it prints.
fn newer_releases(printed: &str) -> Vec<&str> {
    let taken = |line: &&str| line.starts_with("Updating ") && line.contains(" -> ");
    printed.lines().map(str::trim).filter(taken).collect()
}

#[cfg(test)]
mod tests {
    use super::newer_releases;

    #[test]
    fn newer_releases_are_those_that_would_be_taken() {
        let printed = "    Updating crates.io index\n     Locking 1 package to latest Rust 1.85 compatible version\n    \
                       Updating anyhow v1.0.104 -> v1.0.105\n   Unchanged heapless v0.9.1 (available: v0.9.4, requires \
                       Rust 1.88)\nwarning: not updating lockfile due to dry run\n";
        assert_eq!(newer_releases(printed), ["Updating anyhow v1.0.104 -> v1.0.105"]);
    }
}
