//! The package of an author who checks a protocol of their own, and the template that starts one.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::outcome::Done;
use crate::files::{copy_files, remove, sources};
use crate::process::{self, cargo, shootdown};

const EXAMPLE: &str = "examples/own-case";
/// Where packages are copied: as deep in the project as the example, so that relative paths lead to the same packages.
/// One folder for all copies: cargo takes two copies in `target` for one package, and looks for changes in the first
/// one's files.
const COPY: &str = "target/package-copy";
const TEMPLATE: &str = "sample-1a2b3c4d-template";
const MODULE: &str = "sample_1a2b3c4d_template";
/// Where the author's package is built from nothing.
const COLD: &str = "target/author-cold";
/// Packages that an author of models builds at most, their own included.
const PACKAGES: usize = 20;
/// Seconds of CPUs that a first build of them takes at most.
const CPU_SECONDS: f64 = 60.0;
/// Lines of a first sketch at most.
const LINES: usize = 40;

pub fn own_case(root: &Path) -> Result<Done> {
    let copy = copy_package(root, &root.join(EXAMPLE))?;
    let shared = |arguments: &str| in_copy(root, &copy, arguments);
    let author = author(root, &copy)?;
    process::run(&mut shared("test --release"))?;
    process::run(&mut shared("run --quiet --release"))?;
    process::run(&mut shared(&format!("run --quiet --release -- new-case {TEMPLATE} --dir src")))?;
    let sketch = copy.join(format!("src/{MODULE}.rs"));
    let lines = fs::read_to_string(&sketch).context("new-case writes a sketch")?.lines().count();
    ensure!(lines <= LINES, "a first sketch has {lines} lines, at most {LINES}");
    name_in(&copy.join("src/main.rs"), MODULE, "mod counted_acks;\n", "&[Sketch] = &[", "SKETCH")?;
    process::run(&mut shared("test --quiet --release sketches"))?;
    process::run(&mut shared(&format!("run --quiet --release -- check {TEMPLATE}")))?;
    process::run(&mut shared(&format!("run --quiet --release -- explain {TEMPLATE} --html sketch.html")))?;
    ensure!(copy.join("sketch.html").exists(), "explain --html writes a page");
    in_corpus(root, &copy)?;
    Ok(Done::Passed(format!("{author}; a first sketch has {lines} lines, and becomes a bug of a collection")))
}

/// Builds the package from nothing; says of how much it is made.
fn author(root: &Path, copy: &Path) -> Result<String> {
    let tree = process::read(&mut cargo(copy, "tree --prefix none --edges normal,build --format {p}"))?;
    let packages: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let count = packages.len();
    ensure!(count <= PACKAGES, "an author builds {count} packages, at most {PACKAGES}: {packages:?}");
    let cold = root.join(COLD);
    remove(&cold)?;
    // What this process has waited for meanwhile has other steps in it, which run beside this one.
    let mut timed = Command::new("sh");
    timed.current_dir(copy).env("CARGO_TARGET_DIR", &cold).args(["-c", "cargo build --release && times"]);
    let took = seconds(&process::read(&mut timed)?);
    remove(&cold)?;
    let Some(took) = took else { return Ok(format!("an author builds {count} packages")) };
    ensure!(took <= CPU_SECONDS, "a first build takes {took:.0} s of CPUs, at most {CPU_SECONDS}");
    Ok(format!("an author builds {count} packages in {took:.0} s of CPUs"))
}

/// Seconds on CPUs of the programs that a shell ran, of what its `times` prints: user and system, its own and then
/// theirs.
fn seconds(times: &str) -> Option<f64> {
    let seconds = |word: &str| {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    times.lines().nth(1)?.split_whitespace().map(seconds).sum()
}

/// Makes the second step: the sketch as a bug of a collection.
fn in_corpus(root: &Path, copy: &Path) -> Result<()> {
    let source = copy.join("src");
    process::run(shootdown(root, &format!("new-case {TEMPLATE} --corpus --dir"))?.arg(&source))?;
    let main = source.join("bin/corpus.rs");
    name_in(&main, &format!("{MODULE}_bug"), "mod counted_acks;\n", "&[Bug] = &[", "BUG")?;
    let text = fs::read_to_string(&main)?;
    let path = |module: &str| format!("#[path = \"../{module}.rs\"]\nmod {module};\n");
    let both = path(MODULE) + &path(&format!("{MODULE}_bug"));
    fs::write(&main, text.replace(&format!("mod {MODULE}_bug;\n"), &both))?;
    let corpus = |arguments: &str| in_copy(root, copy, arguments);
    process::run(&mut corpus("test --quiet --release --features corpus --bin corpus headers"))?;
    process::run(&mut corpus(&format!(
        "run --quiet --release --features corpus --bin corpus -- check {TEMPLATE} toy-issue7-counted-acks"
    )))
}

/// Copies a package, with the versions that everything else is tested with, not the newest there are. Returns the copy,
/// which takes the place of the one before.
///
/// # Errors
/// A file cannot be copied.
pub fn copy_package(root: &Path, package: &Path) -> Result<PathBuf> {
    let copy = root.join(COPY);
    // What an earlier run wrote would be in the way of templates.
    remove(&copy)?;
    copy_files(package, sources(package)?, &copy)?;
    fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    Ok(copy)
}

/// Builds a call of cargo in the copy. It shares the workspace's target folder, where most of what it needs is built.
pub fn in_copy(root: &Path, copy: &Path, arguments: &str) -> Command {
    let mut command = cargo(copy, arguments);
    command.env("CARGO_TARGET_DIR", root.join("target"));
    command
}

/// Does to a program what `new-case` says to do.
fn name_in(main: &Path, module: &str, first: &str, list: &str, name: &str) -> Result<()> {
    let text = fs::read_to_string(main).with_context(|| format!("cannot read {}", main.display()))?;
    let text = with_module(&text, module, (first, list, name))?;
    fs::write(main, text).with_context(|| format!("cannot write {}", main.display()))
}

/// Names `module` before `first`, and its constant `name` in the list that begins with `list`.
fn with_module(main: &str, module: &str, (first, list, name): (&str, &str, &str)) -> Result<String> {
    ensure!(main.contains(list) && main.contains(first), "the program is not as this step knows it");
    let main = main.replacen(list, &format!("{list}{module}::{name}, "), 1);
    Ok(main.replacen(first, &format!("{first}mod {module};\n"), 1))
}

#[cfg(test)]
mod tests {
    use super::{seconds, with_module};

    #[test]
    fn seconds_are_those_of_what_the_shell_ran() {
        assert_eq!(seconds("0m0.50s 0m0.25s\n1m1.50s 0m2.25s\n"), Some(63.75));
        assert_eq!(seconds("0m0,50s 0m0,25s\n1m1,50s 0m2,25s\n"), None, "another language's numbers");
        assert_eq!(seconds(""), None);
    }

    #[test]
    fn the_template_is_named_where_the_example_names_its_own() {
        let example = include_str!("../../../examples/own-case/src/main.rs");
        let places = ("mod counted_acks;\n", "&[Sketch] = &[", "SKETCH");
        let main = with_module(example, "linux_x", places).expect("the example");
        assert!(main.contains("mod linux_x;\n"));
        assert!(main.contains("&[linux_x::SKETCH, counted_acks::SKETCH]"), "{main}");
        let corpus = include_str!("../../../examples/own-case/src/bin/corpus.rs");
        let places = ("mod counted_acks;\n", "&[Bug] = &[", "BUG");
        let corpus = with_module(corpus, "linux_x_bug", places).expect("the example");
        assert!(corpus.contains("&[linux_x_bug::BUG, COUNTED_ACKS]"), "{corpus}");
        assert!(with_module("fn main() {}", "linux_x", places).is_err());
    }
}
