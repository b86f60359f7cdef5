//! What the linker says of a program that provides no engine, or two. Nothing here has dependencies but the engine, so the
//! compiler is called directly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const SYMBOL: &str = "shootdown_engine_is_missing__use_shootdown_global_provide";
const REQUIRE: &str = "shootdown_global::require! { fn engine() -> shootdown_adapter_rig::Machine; }\n";
const MAIN: &str = "fn main() { assert!(engine().is_err()); }\n";

fn provide(name: &str) -> String {
    format!("shootdown_global::provide! {{ static {name}: shootdown_adapter_rig::Machine; }}\n")
}

/// Libraries, compiled in this order.
fn bench() -> PathBuf {
    let out = PathBuf::from(concat!(env!("CARGO_TARGET_TMPDIR"), "/linker"));
    fs::create_dir_all(&out).expect("a place for what is compiled");
    let libraries = [
        ("shootdown", "../../shootdown/src/lib.rs"),
        ("shootdown_adapter_rig", "../rig/src/lib.rs"),
        ("shootdown_global", "src/lib.rs"),
    ];
    for (at, (name, source)) in libraries.into_iter().enumerate() {
        let mut rustc = rustc(&out, name, &Path::new(HERE).join(source));
        rustc.args(["--crate-type", "rlib", "--cap-lints", "allow"]);
        for (before, _) in &libraries[..at] {
            rustc.args(["--extern", before]);
        }
        let output = rustc.output().expect("a compiler");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    out
}

fn rustc(out: &Path, name: &str, source: &Path) -> Command {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args(["--edition", "2024", "--crate-name", name, "--out-dir"])
        .arg(out)
        .arg("-L")
        .arg(out)
        .arg(source);
    rustc
}

/// Compiles and links a program.
fn program(out: &Path, name: &str, text: &str) -> Output {
    let source = out.join(name).with_extension("rs");
    fs::write(&source, text).expect("a source");
    let mut rustc = rustc(out, name, &source);
    rustc.args(["--extern", "shootdown_global", "--extern", "shootdown_adapter_rig"]);
    rustc.output().expect("a compiler")
}

#[test]
fn the_linker_names_a_missing_engine_and_a_second_one() {
    let out = bench();
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let whole = program(&out, "whole", &format!("{}{REQUIRE}{MAIN}", provide("ENGINE")));
    assert!(whole.status.success(), "{}", said(&whole));
    assert!(Command::new(out.join("whole")).status().expect("a program").success());

    let missing = program(&out, "missing", &format!("{REQUIRE}{MAIN}"));
    assert!(!missing.status.success() && said(&missing).contains(SYMBOL), "{}", said(&missing));
    let twice = format!("{}{}{REQUIRE}{MAIN}", provide("ENGINE"), provide("SECOND"));
    let twice = program(&out, "twice", &twice);
    assert!(!twice.status.success() && said(&twice).contains(SYMBOL), "{}", said(&twice));
}
