//! The licences and sources of what is depended on, held against deny.toml.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::process::{self, cargo, read};

const DENY: &str = "deny.toml";
/// What a published package's dependencies may be under.
const PUBLISHED: [&str; 4] = ["MIT", "Apache-2.0", "Unicode-3.0", "Zlib"];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Looks at every package of the lock file; returns how many there are and whether cargo-deny looked too.
///
/// # Errors
/// A licence or a source that is not allowed.
pub fn run(root: &Path) -> Result<String> {
    let text = std::fs::read_to_string(root.join(DENY)).with_context(|| format!("cannot read {DENY}"))?;
    let allowed = allowed(&text)?;
    let metadata = read(&mut cargo(root, "metadata --all-features --format-version 1"))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let kernels = for_kernels(&metadata)?;
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(source) = package["source"].as_str() else { continue };
        if source != REGISTRY {
            wrong.push(format!("{name} comes from {source}"));
        }
        let licence = package["license"].as_str().unwrap_or("nothing that is declared");
        let (list, whose) = match package["id"].as_str() {
            Some(id) if kernels.contains(id) => (&PUBLISHED[..], "a published package needs it"),
            _ => (&allowed[..], DENY),
        };
        if !satisfied(licence, list)? {
            wrong.push(format!("{name} is under {licence}, which is not allowed: {whose}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let third = packages.iter().filter(|package| package["source"].is_string()).count();
    let denied = if deny(root)? { "cargo-deny agrees" } else { "cargo-deny is not installed" };
    Ok(format!("{third} dependencies, {} of them of published packages; {denied}", kernels.len()))
}

/// Has cargo-deny look as well, if it is installed. Advisories need a download, and are left to who can.
fn deny(root: &Path) -> Result<bool> {
    let installed = Command::new("cargo").args(["deny", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return Ok(false);
    }
    process::run(&mut cargo(root, "deny --offline check licenses bans sources"))?;
    Ok(true)
}

/// The list under `allow` of the table of licences.
fn allowed(text: &str) -> Result<Vec<&str>> {
    let (_, rest) = text.split_once("[licenses]").with_context(|| format!("{DENY} has no [licenses]"))?;
    let (_, rest) = rest.split_once("allow = [").with_context(|| format!("{DENY} has no list to allow"))?;
    let (list, _) = rest.split_once("\n]").with_context(|| format!("{DENY}'s list has no end"))?;
    let lines = list.lines().map(str::trim).filter(|line| line.starts_with('"'));
    Ok(lines.filter_map(|line| line.split('"').nth(1)).collect())
}

/// Packages of others that a published one depends on, tests apart, by id.
fn for_kernels(metadata: &Value) -> Result<BTreeSet<&str>> {
    let list =
        |value: &'static str| metadata[value].as_array().with_context(|| format!("cargo metadata: {value}"));
    let nodes = metadata["resolve"]["nodes"].as_array().context("cargo metadata resolves")?;
    let node = |id: &str| nodes.iter().find(|node| node["id"] == id);
    let public = list("packages")?
        .iter()
        .filter(|package| package["source"].is_null() && package["publish"].is_null());
    let mut open: Vec<&str> = public.filter_map(|package| package["id"].as_str()).collect();
    let mut found = BTreeSet::new();
    let workspace: Vec<&Value> = list("workspace_members")?.iter().collect();
    while let Some(id) = open.pop() {
        for dependency in node(id).and_then(|node| node["deps"].as_array()).into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array();
            let is_normal = kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"));
            let Some(to) = dependency["pkg"].as_str().filter(|_| is_normal) else { continue };
            if !workspace.iter().any(|member| *member == to) && found.insert(to) {
                open.push(to);
            }
        }
    }
    Ok(found)
}

/// Whether an expression of licences can be met with those of `allowed`.
///
/// # Errors
/// It is no such expression.
fn satisfied(expression: &str, allowed: &[&str]) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&words, &mut at, allowed)?;
    ensure!(at == words.len(), "{expression:?} is no expression of licences");
    Ok(met)
}

fn any_of(words: &[&str], at: &mut usize, allowed: &[&str]) -> Result<bool> {
    let mut met = all_of(words, at, allowed)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(words, at, allowed)?;
    }
    Ok(met)
}

fn all_of(words: &[&str], at: &mut usize, allowed: &[&str]) -> Result<bool> {
    let mut met = one(words, at, allowed)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed)?;
    }
    Ok(met)
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> Result<bool> {
    let Some(&word) = words.get(*at) else { bail!("a licence is missing in {words:?}") };
    *at += 1;
    if word == "(" {
        let met = any_of(words, at, allowed)?;
        ensure!(words.get(*at) == Some(&")"), "a bracket is open in {words:?}");
        *at += 1;
        return Ok(met);
    }
    if words.get(*at) == Some(&"WITH") {
        let with = format!("{word} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
        return Ok(allowed.contains(&with.as_str()));
    }
    Ok(allowed.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::{allowed, satisfied};

    #[test]
    fn expressions_are_met_by_one_choice_of_each() {
        let list = ["MIT", "Unicode-3.0"];
        let met = |expression: &str| satisfied(expression, &list).expect("an expression");
        assert!(met("MIT") && met("GPL-3.0 OR MIT") && met("MIT/Apache-2.0"));
        assert!(met("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!met("Apache-2.0") && !met("MIT AND Apache-2.0") && !met("GPL-3.0"));
        assert!(!met("Apache-2.0 WITH LLVM-exception"));
        assert!(satisfied("MIT OR", &list).is_err() && satisfied("(MIT", &list).is_err());
        assert!(satisfied("MIT MIT", &list).is_err());
    }

    #[test]
    fn the_list_is_read_without_its_comments() {
        let list =
            allowed("[licenses]\nallow = [\n    \"MIT\",\n    # \"GPL\" not\n    \"ISC\",\n]\n[bans]\n");
        assert_eq!(list.expect("a list"), ["MIT", "ISC"]);
        assert!(allowed("[bans]").is_err());
    }
}
