//! The engine and the arch crates on targets without an operating system.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::steps::Done;
use crate::process::{self, cargo, read};

/// Targets, and the packages that each must build.
const TARGETS: [(&str, &[&str]); 3] = [
    ("x86_64-unknown-none", &["shootdown", "shootdown-x86_64", "shootdown-measure", "ports-native"]),
    ("aarch64-unknown-none", &["shootdown", "shootdown-aarch64", "shootdown-measure", "ports-native"]),
    ("riscv64gc-unknown-none-elf", &["shootdown", "shootdown-riscv64", "shootdown-measure", "ports-native"]),
];

/// Adapters, with all that records can be made of, where they make sense.
const ADAPTERS: [(&str, &[&str]); 3] = [
    (
        "x86_64-unknown-none",
        &[
            "shootdown-trace",
            "shootdown-global",
            "shootdown-with-x86_64",
            "shootdown-with-crate_interface",
            "shootdown-with-page_table_multiarch",
            "shootdown-with-page-table-generic",
        ],
    ),
    ("aarch64-unknown-none", &["shootdown-trace", "shootdown-global", "shootdown-with-page_table_multiarch"]),
    ("riscv64gc-unknown-none-elf", &["shootdown-trace", "shootdown-with-page-table-generic"]),
];
const TRACES: &str = "shootdown-trace/log,shootdown-trace/tracing,shootdown-trace/defmt";

pub fn bare_metal(root: &Path) -> Result<Done> {
    for (target, packages) in TARGETS {
        ensure_core(target)?;
        let packages: String = packages.iter().map(|name| format!(" -p {name}")).collect();
        process::run(&mut cargo(
            root,
            &format!("build --release --no-default-features --target {target}{packages}"),
        ))?;
    }
    for (target, packages) in ADAPTERS {
        let packages: String = packages.iter().map(|name| format!(" -p {name}")).collect();
        let build = format!("build --release --target {target} --features {TRACES}{packages}");
        process::run(&mut cargo(root, &build))?;
    }
    let targets: Vec<&str> = TARGETS.iter().map(|(target, _)| *target).collect();
    Ok(Done::Passed(targets.join(", ")))
}

/// Finds the core library for `target`, or installs it.
///
/// # Errors
/// Neither.
pub fn ensure_core(target: &str) -> Result<()> {
    if installed(target) {
        return Ok(());
    }
    let added = process::run(Command::new("rustup").args(["target", "add", target]));
    if added.is_ok() && installed(target) {
        return Ok(());
    }
    bail!("no core library for {target}: `rustup target add {target}` installs it, and needs the network")
}

fn installed(target: &str) -> bool {
    let folder = read(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    let files = folder.ok().and_then(|folder| PathBuf::from(folder.trim()).read_dir().ok());
    let mut names = files.into_iter().flatten().flatten().map(|file| file.file_name());
    names.any(|name| name.to_string_lossy().starts_with("libcore-"))
}
