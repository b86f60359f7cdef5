//! The oldest Rust that the published packages promise.

use anyhow::{Result, ensure};
use std::path::Path;
use std::process::Command;

use super::outcome::Done;
use crate::package::{INTEGRATIONS, integration_features, published};
use crate::process::{self, cargo, read};

const MSRV: &str = "1.85";
/// What rustup is told where it is missing. Where that fails, the lint `incompatible_msrv` is what looks: at the
/// standard library, not at dependencies or syntax.
const INSTALL: &str = "toolchain install 1.85 --profile minimal --no-self-update";
/// Features of the integrations that need a later one, since the crates that they are for do; README.md there says
/// which.
const LATER: [&str; 2] = ["page-table-generic", "page_table_multiarch"];

pub fn msrv(root: &Path) -> Result<Done> {
    let published = published(root)?;
    let features = promised(integration_features(root)?)?;
    let names: Vec<&str> = published.iter().filter_map(|package| package["name"].as_str()).collect();
    for package in &published {
        let (name, version) = (&package["name"], &package["rust_version"]);
        ensure!(version == MSRV, "package {name} says rust-version {version}, the promise is {MSRV}");
    }
    if !installed()
        && (process::run(Command::new("rustup").args(INSTALL.split(' '))).is_err() || !installed())
    {
        return Ok(Done::Skipped(format!(
            "{} packages say {MSRV}, and are not compiled: toolchain {MSRV} is missing, and `rustup {INSTALL}` fails",
            names.len()
        )));
    }
    let packages: String = names.iter().map(|name| format!(" -p {name}")).collect();
    let mut command = cargo(root, &format!("+{MSRV} check --locked{packages} --features {features}"));
    // A target folder of its own, so that the other steps need not build everything again.
    process::run(command.env("CARGO_TARGET_DIR", root.join("target/msrv")))?;
    Ok(Done::Passed(format!("{} packages compile with Rust {MSRV}", names.len())))
}

fn installed() -> bool {
    let toolchains = read(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    toolchains
        .lines()
        .any(|line| line.starts_with(&format!("{MSRV}-")) || line.starts_with(&format!("{MSRV}.")))
}

/// Returns the features that compile with [`MSRV`], as cargo wants them.
///
/// # Errors
/// There is no feature of a name in [`LATER`].
fn promised(features: Vec<String>) -> Result<String> {
    let (later, promised): (Vec<String>, Vec<String>) =
        features.into_iter().partition(|feature| LATER.contains(&feature.as_str()));
    ensure!(later.len() == LATER.len(), "of {LATER:?}, {INTEGRATIONS} has {later:?}");
    let names: Vec<String> = promised.iter().map(|name| format!("{INTEGRATIONS}/{name}")).collect();
    Ok(names.join(","))
}

#[cfg(test)]
mod tests {
    use super::promised;

    #[test]
    fn features_that_need_a_later_rust_are_left_out_and_must_exist() {
        let features = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let all = promised(features(&["log", "page-table-generic", "page_table_multiarch", "x86_64"]));
        assert_eq!(all.expect("both"), "shootdown-integrations/log,shootdown-integrations/x86_64");
        assert!(promised(features(&["log", "page-table-generic"])).is_err());
    }
}
