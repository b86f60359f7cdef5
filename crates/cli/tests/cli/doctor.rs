//! `shootdown doctor` on files and crates: what it prints, and its exit codes.

use crate::{shootdown, text};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/ports");

fn example(name: &str) -> PathBuf {
    Path::new(EXAMPLES).join(name)
}

/// Writes the toy kernel with one mistake in it.
fn wrong(folder: &Path, mistake: &str) -> PathBuf {
    let text = fs::read_to_string(example(&format!("wrong/{mistake}.diff"))).expect("a mistake");
    let mistake = ports_examples::Wrong::parse(mistake, &text);
    let sound = fs::read_to_string(example(&mistake.platform)).expect("a platform");
    written(folder, "platform.rs", &mistake.applied(&sound))
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a place to write to");
    fs::write(&path, text).expect("a place to write to");
    path
}

#[test]
fn a_sound_platform_passes() {
    let passed = contains("flush-tables      pass").and(contains("protocol-borrow   pass"));
    shootdown(&["doctor", text(&example("toy_kernel.rs"))])
        .assert()
        .code(0)
        .stdout(passed.and(contains("36 checks pass, 0 do not")));
}

#[test]
fn a_wrong_platform_is_drawn_with_the_contract_and_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = wrong(folder.path(), "ipi-before-request");
    let drawn = contains("the interrupt overtakes the").and(contains("CPU 0")).and(contains("CPU 1"));
    let said = contains("of send_ipi, crates/shootdown/src/platform.rs:").and(contains("“The request is"));
    shootdown(&["doctor", text(&path)])
        .assert()
        .code(1)
        .stdout(drawn.and(said).and(contains("order_before_interrupt() before send_interrupt()")))
        .stdout(contains("ipi-order         WRONG"));
}

#[test]
fn json_has_a_line_for_each_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = wrong(folder.path(), "first-page-only");
    let output = shootdown(&["doctor", "--json", text(&path)]).assert().code(1).get_output().stdout.clone();
    let lines = String::from_utf8(output).expect("text");
    let outcomes: Vec<shootdown_doctor::Outcome> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an outcome")).collect();
    let found: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == shootdown_doctor::Verdict::Wrong)
        .map(|outcome| outcome.check.as_str())
        .collect();
    assert_eq!(found, ["flush-pages"]);
    let names: BTreeSet<&str> = outcomes.iter().map(|outcome| outcome.check.as_str()).collect();
    assert_eq!(names.len(), outcomes.len(), "each check has one line");
    // One of each file of checks, those that do not apply included.
    for name in ["cpu", "ipi-order", "remote-kernel", "protocol-borrow"] {
        assert!(names.contains(name), "no line for {name}: {names:?}");
    }
}

#[test]
fn a_crate_with_modules_is_examined_by_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = "[package]\nname = \"my-kernel\"\nedition = \"2024\"\n[lib]\npath = \"source/kernel.rs\"\n\
                    [dependencies]\nshootdown = \"0.1.0\"\n[workspace]\n";
    written(folder.path(), "Cargo.toml", manifest);
    let root = "#![no_std]\nmod platform;\npub type PlatformUnderTest<H> = platform::Kernel<H>;\n";
    written(folder.path(), "source/kernel.rs", root);
    let platform = fs::read_to_string(example("toy_kernel.rs")).expect("a platform");
    written(folder.path(), "source/platform.rs", &platform);
    shootdown(&["doctor", text(folder.path())]).assert().code(0).stdout(contains("36 checks pass, 0 do not"));
}

#[test]
fn what_cannot_be_examined_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let sound = fs::read_to_string(example("toy_kernel.rs")).expect("a platform");
    let unnamed = sound.replace("pub type PlatformUnderTest<H> = Kernel<H>;", "");
    let atomic = format!("use core::sync::atomic::AtomicU64;\n{sound}");
    let neither = format!("use core::sync::atomic::AtomicU64;\n{unnamed}");
    let both = format!("use shootdown_host::sync::AtomicU32;\n{atomic}");
    let misspelt = sound.replace("fn send_ipi(", "fn send_ippi(");
    let not_portable = sound.replace("Portable<H> for", "Clone for");
    let cases = [
        (folder.path().join("none.rs"), "cannot read", "give a Rust source file"),
        (folder.path().to_path_buf(), "no Rust source file and no crate", "a folder with a Cargo.toml"),
        (written(folder.path(), "notes.txt", "x"), "no Rust source file and no crate", "ends in .rs"),
        (
            written(folder.path(), "unnamed.rs", &unnamed),
            "names no platform",
            "pub type PlatformUnderTest<H>",
        ),
        (written(folder.path(), "neither.rs", &neither), "names no platform", "that Cargo.toml names"),
        (written(folder.path(), "atomic.rs", &atomic), "atomic.rs:1 uses an atomic", "sync::Word"),
        (written(folder.path(), "both.rs", &both), "uses an atomic", "sync::Word"),
        (
            written(folder.path(), "misspelt.rs", &misspelt),
            "error[E0046]: not all trait items",
            "must implement",
        ),
        (
            written(folder.path(), "portable.rs", &not_portable),
            "does not compile",
            "shootdown::ports::Portable<H>",
        ),
    ];
    for (path, what, remedy) in cases {
        shootdown(&["doctor", text(&path)]).assert().code(2).stderr(contains(what).and(contains(remedy)));
    }
}
