//! What toolchains have, and what is added to them.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, read};

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

/// Whether the libraries for `target` are installed.
pub fn installed(target: &str) -> bool {
    let folder = read(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    let files = folder.ok().and_then(|folder| PathBuf::from(folder.trim()).read_dir().ok());
    let mut names = files.into_iter().flatten().flatten().map(|file| file.file_name());
    names.any(|name| name.to_string_lossy().starts_with("libcore-"))
}

/// Whether there is a nightly toolchain with the source of the core library.
pub fn nightly_builds_core() -> bool {
    let sysroot = Command::new("rustc").args(["+nightly", "--print", "sysroot"]).output();
    let sysroot = sysroot.ok().filter(|output| output.status.success());
    sysroot.and_then(|output| String::from_utf8(output.stdout).ok()).is_some_and(|sysroot| {
        Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs").exists()
    })
}
