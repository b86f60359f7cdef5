//! Builds `measured/` for bare metal and has `measure/` look at the machine code: `cargo xtask arch`, `size`, `panics`,
//! `stack` and `counts`.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, cargo, read};
use crate::toolchain::{ensure_core, nightly_builds_core};

/// A property of machine code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The instruction sequences of the arch crates.
    Arch(Differing),
    /// Bytes of machine code, built for size; with each function or without.
    Size(Functions),
    /// Ways to a panic, however built.
    Panics,
    /// Bytes of stack, however built.
    Stack,
}

/// What happens to a listing that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differing {
    /// It is a failure, and the difference is printed.
    Fails,
    /// It is the new one.
    IsTaken,
}

/// How much is printed of the code's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Functions {
    /// Sums alone.
    Summed,
    /// Each function too.
    Listed,
}

const PROGRAM: &str =
    "run --quiet --release --package xtask --bin measure --no-default-features --features measure --";
const LIBRARY: &str = "--package xtask --lib --no-default-features";
const TARGETS: [(&str, &str); 3] = [
    ("riscv64", "riscv64gc-unknown-none-elf"),
    ("x86_64", "x86_64-unknown-none"),
    ("aarch64", "aarch64-unknown-none"),
];
/// Built by nightly, with the core library from source: assembly for sparc64 is unstable, and for none of them a core
/// library is at hand everywhere.
const FROM_SOURCE: [(&str, &str); 2] =
    [("sparc64", "sparc64-unknown-linux-gnu"), ("loongarch64", "loongarch64-unknown-none-softfloat")];

/// Builds and looks; returns what was looked at.
///
/// # Errors
/// A build fails, a listing differs, or a bound is passed.
pub fn run(root: &Path, look: Look) -> Result<String> {
    let folder = target_folder(root)?;
    let (words, profiles): (&[&str], &[&str]) = match look {
        Look::Arch(Differing::Fails) => (&["arch"], &["release"]),
        Look::Arch(Differing::IsTaken) => (&["arch", "--accept"], &["release"]),
        Look::Size(Functions::Summed) => (&["size"], &["size"]),
        Look::Size(Functions::Listed) => (&["size", "--functions"], &["size"]),
        Look::Panics => (&["panics"], &["release", "size"]),
        Look::Stack => (&["stack"], &["release", "size"]),
    };
    let mut command = cargo(root, PROGRAM);
    command.args(words);
    for profile in profiles {
        for (name, target) in TARGETS {
            ensure_core(target)?;
            let build =
                format!("rustc {LIBRARY} --crate-type staticlib --profile {profile} --target {target}");
            process::run(&mut cargo(root, &build))?;
            let library = folder.join(target).join(profile).join("libmeasured.a");
            command.arg(format!("{name}/{profile}={}", library.display()));
        }
    }
    let from_source = matches!(look, Look::Arch(_)) && nightly_builds_core();
    for (name, target) in FROM_SOURCE.into_iter().filter(|_| from_source) {
        let build = format!("+nightly build -Zbuild-std=core --release {LIBRARY} --target {target}");
        process::run(&mut cargo(root, &build))?;
        let library = folder.join(target).join("release/libmeasured.rlib");
        command.arg(format!("{name}/release={}", library.display()));
    }
    process::run(&mut command)?;
    Ok(match look {
        Look::Arch(_) if from_source => {
            "listings of x86_64, aarch64, riscv64 as committed; and sparc64, loongarch64"
        }
        Look::Arch(_) => {
            "listings of x86_64, aarch64, riscv64 as committed; not sparc64 and loongarch64, which need a nightly toolchain with \
             rust-src"
        }
        Look::Size(_) => "at most 12 KiB of the engine on riscv64, built for size, and of the coherence layer alone",
        Look::Panics => "no way to a panic but those that xtask/panics.txt argues",
        Look::Stack => "the IPI handler within its bound",
    }
    .to_owned())
}

/// The command that counts the engine's instructions and holds them against their aims.
pub fn counts(root: &Path) -> Command {
    let mut command = cargo(root, &format!("{PROGRAM} counts"));
    // Kernels abort on a panic: what recovers from one costs instructions on hosts alone.
    command.env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    command
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
