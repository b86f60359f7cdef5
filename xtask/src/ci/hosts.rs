//! The command and every library, type-checked for hosts other than this one.

use anyhow::Result;
use std::path::Path;

use super::outcome::Done;
use crate::process::{self, cargo};
use crate::toolchain::{installed, nightly_builds_core};

/// Hosts that the README names, besides the one where this runs.
const HOSTS: [&str; 3] = ["aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"];
/// What only this project runs: programs whose dependencies are partly C, and tests on loom, which brings 21 packages.
const TOOLS: &str = "--exclude xtask --exclude shootdown-under-loom";
/// A target folder of its own, so that the other steps need not build everything again.
const FOLDER: &str = "target/hosts";

pub fn hosts(root: &Path) -> Result<Done> {
    let mut checked = Vec::new();
    let mut skipped = Vec::new();
    for host in HOSTS {
        // What cargo checks for another host is compiled against its standard library: an installed one, or its source.
        let (toolchain, std) = if installed(host) {
            ("", "")
        } else if nightly_builds_core() {
            ("+nightly ", " -Zbuild-std=std,panic_unwind")
        } else {
            skipped.push(host);
            continue;
        };
        for what in [format!("--workspace {TOOLS} --features full"), "--package shootdown-cli".to_owned()] {
            let check = format!("{toolchain}check --locked {what}{std}");
            let mut command = cargo(root, &format!("{check} --target {host} --target-dir {FOLDER}"));
            process::run(command.env("RUSTFLAGS", "-D warnings"))?;
        }
        checked.push(host);
    }
    let lacking = format!(
        "no standard library for {} (`rustup target add`, or a nightly toolchain with rust-src)",
        skipped.join(", ")
    );
    Ok(match skipped.as_slice() {
        [] => Done::Passed(format!("command and libraries type-check for {}", checked.join(", "))),
        _ => Done::Skipped(lacking),
    })
}
