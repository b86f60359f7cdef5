//! Builds the arch crates for their machines, disassembles their instruction sequences, and compares with what was
//! committed.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ci::ensure_core;
use crate::process::{self, cargo, read};

/// What happens to a listing that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differing {
    /// It is a failure, and the difference is printed.
    Fails,
    /// It is the new one.
    IsTaken,
}

/// Targets, and the variables that tell the test where their probes are.
const STABLE: [(&str, &str); 3] = [
    ("x86_64-unknown-none", "SHOOTDOWN_PROBE_X86_64"),
    ("aarch64-unknown-none", "SHOOTDOWN_PROBE_AARCH64"),
    ("riscv64gc-unknown-none-elf", "SHOOTDOWN_PROBE_RISCV64"),
];

/// Assembly for it is unstable, and no core library is shipped: built by nightly, from source.
const SPARC: (&str, &str) = ("sparc64-unknown-linux-gnu", "SHOOTDOWN_PROBE_SPARC64");

/// Builds and compares; returns what was looked at.
///
/// # Errors
/// A build fails, or a listing differs.
pub fn run(root: &Path, differing: Differing) -> Result<String> {
    let folder = target_folder(root)?;
    let mut test =
        cargo(root, "test --release --package shootdown-listing --features probed --test listings --");
    for (target, variable) in STABLE {
        ensure_core(target)?;
        process::run(&mut cargo(
            root,
            &format!("build --release --package shootdown-probe --target {target}"),
        ))?;
        test.env(variable, probes(&folder, target));
    }
    let sparc = if nightly_builds_core() {
        let (target, variable) = SPARC;
        let build = "+nightly build -Zbuild-std=core --release --package shootdown-probe --features nightly";
        process::run(&mut cargo(root, &format!("{build} --target {target}")))?;
        test.env(variable, probes(&folder, target));
        "and sparc64"
    } else {
        test.args(["--skip", "sparc64"]);
        "not sparc64, which needs a nightly toolchain with rust-src"
    };
    // A snapshot that differs is a failure, never a new snapshot, unless that is asked for.
    test.env("INSTA_UPDATE", if differing == Differing::IsTaken { "always" } else { "no" });
    process::run(&mut test)?;
    Ok(format!("listings of x86_64, aarch64, riscv64 as committed; {sparc}"))
}

fn probes(folder: &Path, target: &str) -> PathBuf {
    folder.join(target).join("release/libshootdown_probe.rlib")
}

/// Where cargo builds.
///
/// # Errors
/// Cargo does not say.
pub fn target_folder(root: &Path) -> Result<PathBuf> {
    let metadata = read(&mut cargo(root, "metadata --no-deps --format-version 1"))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    metadata["target_directory"].as_str().map(PathBuf::from).context("cargo metadata names the target folder")
}

/// Whether there is a nightly toolchain with the source of the core library.
pub fn nightly_builds_core() -> bool {
    let sysroot = Command::new("rustc").args(["+nightly", "--print", "sysroot"]).output();
    let sysroot = sysroot.ok().filter(|output| output.status.success());
    sysroot.and_then(|output| String::from_utf8(output.stdout).ok()).is_some_and(|sysroot| {
        Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs").exists()
    })
}
