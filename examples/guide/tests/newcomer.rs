//! Types each porting page of the book off, in an empty folder outside the workspace, and compares what it prints.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const PAGES: [&str; 6] =
    ["trampoline", "own-lifetimes", "hypercalls", "isolated-cpus", "full-kernel", "emulator"];
/// Most lines of a page up to the flush that runs, the program's among them.
const LONGEST: usize = 120;

/// The first block of a language on a page.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no {language}"));
    rest.split_once("```").expect("its end").0
}

/// A folder with nothing in it, above which no workspace stands.
fn empty_folder(name: &str) -> PathBuf {
    let folder = env::temp_dir().join(format!("shootdown-newcomer-{}-{name}", std::process::id()));
    fs::create_dir_all(folder.join("src")).expect("a place to write to");
    folder
}

#[test]
fn each_page_is_a_program_that_runs_as_typed() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the examples");
    let checkout = examples.parent().expect("the checkout");
    for name in PAGES {
        let page = checkout.join(format!("docs/book/src/porting-{name}.md"));
        let page = fs::read_to_string(page).expect("a page of the book");
        let folder = empty_folder(name);
        let manifest = block(&page, "toml").replace("CHECKOUT", checkout.to_str().expect("a path in UTF-8"));
        fs::write(folder.join("Cargo.toml"), manifest).expect("a place to write to");
        fs::write(folder.join("src/main.rs"), block(&page, "rust")).expect("a place to write to");
        let mut cargo = Command::new("cargo");
        cargo.args(["run", "--quiet", "--offline"]).current_dir(&folder);
        cargo.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("newcomer"));
        let output = cargo.output().expect("cargo starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        let printed = String::from_utf8_lossy(&output.stdout);
        let promised = block(&page, "console").strip_prefix("$ cargo run\n").expect("what the newcomer runs");
        assert_eq!(printed, promised, "{name}");
        assert!(!errors.contains("warning"), "{name}: {errors}");
        fs::remove_dir_all(&folder).expect("its own folder");
    }
}

#[test]
fn each_customer_has_a_row_and_a_page_that_is_no_longer_than_one() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book/src");
    let read = |file: &str| fs::read_to_string(book.join(file)).expect("a page of the book");
    let table = read("porting.md");
    for name in PAGES {
        assert!(table.contains(&format!("(porting-{name}.md)")), "{name} has no row");
        let page = read(&format!("porting-{name}.md"));
        let (start, _) = page.split_once("```console").expect("what the newcomer runs");
        let lines = start.lines().count();
        assert!(lines <= LONGEST, "{name}: {lines} lines");
    }
    let readme = fs::read_to_string(book.join("../../../README.md")).expect("the README");
    assert!(readme.contains("(docs/book/src/porting.md)"), "the README leads to the table");
}
