//! The oldest Rust that the published packages promise.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

use super::steps::Done;
use crate::process::{self, cargo, read};

const MSRV: &str = "1.85";
/// Packages that need a later one, since what they adapt to does.
const LATER: [(&str, &str); 2] =
    [("shootdown-with-page_table_multiarch", "1.88"), ("shootdown-with-page-table-generic", "1.88")];

pub fn msrv(root: &Path) -> Result<Done> {
    let metadata = read(&mut cargo(root, "metadata --no-deps --format-version 1"))?;
    let (later, published): (Vec<_>, Vec<_>) =
        published(&metadata)?.into_iter().partition(|(name, _)| LATER.iter().any(|(later, _)| later == name));
    for (name, version) in &later {
        ensure!(LATER.contains(&(name, version)), "package {name} says rust-version {version:?}");
    }
    let names: Vec<&str> = published.iter().map(|(name, _)| name.as_str()).collect();
    for (name, version) in &published {
        ensure!(version == MSRV, "package {name} says rust-version {version:?}, the promise is {MSRV}");
    }
    let toolchains = read(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    if !toolchains.lines().any(|line| line.starts_with(&format!("{MSRV}-")) || line.starts_with("1.85.")) {
        return Ok(Done::Skipped(format!(
            "{} packages say {MSRV}; not compiled: toolchain {MSRV} is not installed (rustup toolchain install {MSRV} --profile minimal --no-self-update)",
            names.len()
        )));
    }
    let packages: String = names.iter().map(|name| format!(" -p {name}")).collect();
    let mut command = cargo(root, &format!("+{MSRV} check --locked{packages}"));
    // A target folder of its own, so that the other steps need not build everything again.
    process::run(command.env("CARGO_TARGET_DIR", root.join("target/msrv")))?;
    Ok(Done::Passed(format!("{} packages compile with Rust {MSRV}", names.len())))
}

/// Returns name and promised Rust of each package that may be published.
fn published(metadata: &str) -> Result<Vec<(String, String)>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let public = packages.iter().filter(|package| package["publish"].is_null());
    Ok(public.map(|package| (text(&package["name"]), text(&package["rust_version"]))).collect())
}

#[cfg(test)]
mod tests {
    use super::published;

    #[test]
    fn packages_that_are_never_published_promise_nothing() {
        let metadata = r#"{"packages":[
            {"name":"a","publish":null,"rust_version":"1.85"},
            {"name":"b","publish":[],"rust_version":"1.85"},
            {"name":"c","publish":null,"rust_version":null}]}"#;
        let expected = [("a", "1.85"), ("c", "")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(published(metadata).expect("metadata"), expected);
    }
}
