//! The listings of all `exec` functions against those that were committed. `cargo xtask arch` builds what this reads.

use object::Architecture;
use shootdown_listing::{functions, listing, sequences};
use std::path::Path;

/// Reads the library that `cargo xtask arch` built for a target: its path is in an environment variable.
fn library(variable: &str) -> Vec<u8> {
    let path = std::env::var(variable).expect("`cargo xtask arch` names the library");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Lists one architecture, after a look whether each sequence of the arch crate has its probe.
fn list(variable: &str, folder: &str, expected: Architecture) -> String {
    let (architecture, found) = functions(&library(variable)).expect("a library");
    assert_eq!(architecture, expected);
    let exec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../arch").join(folder).join("src/exec.rs");
    let source = std::fs::read_to_string(&exec).expect("the source of the sequences");
    // CPUID is the compiler's own function.
    let unlisted = |name: &&&str| !found.contains_key(**name) && **name != "read_leaves";
    let sequences = sequences(&source);
    let missing: Vec<&&str> = sequences.iter().filter(unlisted).collect();
    assert!(!sequences.is_empty() && missing.is_empty(), "no probe for {missing:?}");
    listing(architecture, &found).expect("a listing")
}

#[test]
fn x86_64() {
    insta::assert_snapshot!(list("SHOOTDOWN_PROBE_X86_64", "x86_64", Architecture::X86_64));
}

#[test]
fn aarch64() {
    insta::assert_snapshot!(list("SHOOTDOWN_PROBE_AARCH64", "aarch64", Architecture::Aarch64));
}

#[test]
fn riscv64() {
    insta::assert_snapshot!(list("SHOOTDOWN_PROBE_RISCV64", "riscv64", Architecture::Riscv64));
}

#[test]
fn sparc64() {
    insta::assert_snapshot!(list("SHOOTDOWN_PROBE_SPARC64", "sparc64", Architecture::Sparc64));
}
