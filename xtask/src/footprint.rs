//! Builds the engine's operations for bare metal, and has their machine code weighed: `cargo xtask size`, `panics` and
//! `stack`.

use anyhow::Result;
use std::path::Path;

use crate::arch::target_folder;
use crate::ci::ensure_core;
use crate::process::{self, cargo};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Bytes of machine code, built for size; with each function or without.
    Size(Functions),
    /// Ways to a panic, however built.
    Panics,
    /// Bytes of stack, however built.
    Stack,
}

/// How much is printed of the code's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Functions {
    /// Sums alone.
    Summed,
    /// Each function too.
    Listed,
}

const TARGETS: [(&str, &str); 3] = [
    ("riscv64", "riscv64gc-unknown-none-elf"),
    ("x86_64", "x86_64-unknown-none"),
    ("aarch64", "aarch64-unknown-none"),
];

/// Builds and looks; returns what was looked at.
///
/// # Errors
/// A build fails, or a bound is passed.
pub fn run(root: &Path, look: Look) -> Result<String> {
    let folder = target_folder(root)?;
    let (words, profiles): (&[&str], &[&str]) = match look {
        Look::Size(Functions::Summed) => (&["size"], &["size"]),
        Look::Size(Functions::Listed) => (&["size", "--functions"], &["size"]),
        Look::Panics => (&["panics"], &["release", "size"]),
        Look::Stack => (&["stack"], &["release", "size"]),
    };
    let mut command = cargo(root, "run --quiet --release --package shootdown-footprint --");
    command.args(words);
    for profile in profiles {
        for (name, target) in TARGETS {
            ensure_core(target)?;
            let build = "rustc --package shootdown-footprint-probe --crate-type staticlib";
            process::run(&mut cargo(root, &format!("{build} --profile {profile} --target {target}")))?;
            let library = folder.join(target).join(profile).join("libshootdown_footprint_probe.a");
            command.arg(format!("{name}/{profile}={}", library.display()));
        }
    }
    process::run(&mut command)?;
    Ok(match look {
        Look::Size(_) => "at most 12 KiB of the engine on riscv64, built for size",
        Look::Panics => "no way to a panic but those that crates/footprint/panics.txt argues",
        Look::Stack => "the IPI handler within its bound",
    }
    .to_owned())
}
