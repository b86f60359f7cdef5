//! The engine, the arch crates and the integrations on targets without an operating system.

use anyhow::Result;
use std::path::Path;

use super::build::examples;
use super::outcome::Done;
use crate::package::{INTEGRATIONS, integration_features};
use crate::process::{self, cargo};
use crate::toolchain::{ensure_core, nightly_builds_core};

/// Targets, and the packages that each must build.
const TARGETS: [(&str, &[&str]); 3] = [
    ("x86_64-unknown-none", &["shootdown", "shootdown-x86_64", "xtask"]),
    ("aarch64-unknown-none", &["shootdown", "shootdown-aarch64", "xtask"]),
    ("riscv64gc-unknown-none-elf", &["shootdown", "shootdown-riscv64", "xtask"]),
];

/// Its core library is at hand in few places: built by nightly from source where that is possible.
const LOONGARCH: &str = "loongarch64-unknown-none-softfloat";

pub fn bare_metal(root: &Path) -> Result<Done> {
    for (target, packages) in TARGETS {
        ensure_core(target)?;
        let packages: String = packages.iter().map(|name| format!(" -p {name}")).collect();
        process::run(&mut cargo(
            root,
            &format!("build --release --no-default-features --target {target}{packages}"),
        ))?;
        let all = format!("build --release --target {target} -p {INTEGRATIONS} --all-features");
        process::run(&mut cargo(root, &all))?;
        process::run(&mut examples(root, &format!("build --release --target {target} -p ports-native")))?;
    }
    let packages = "--release --no-default-features -p shootdown -p shootdown-loongarch64 -p xtask";
    let build = if nightly_builds_core() {
        format!("+nightly build -Zbuild-std=core --target {LOONGARCH} {packages}")
    } else {
        ensure_core(LOONGARCH)?;
        format!("build --target {LOONGARCH} {packages}")
    };
    process::run(&mut cargo(root, &build))?;
    let features = integration_features(root)?;
    let alone = format!("check --release --target {} -p {INTEGRATIONS}", TARGETS[0].0);
    process::run(&mut cargo(root, &alone))?;
    for feature in &features {
        process::run(&mut cargo(root, &format!("{alone} --features {feature}")))?;
    }
    let targets: Vec<&str> = TARGETS.iter().map(|(target, _)| *target).chain([LOONGARCH]).collect();
    Ok(Done::Passed(format!("{}; each of {} integrations alone", targets.join(", "), features.len())))
}
