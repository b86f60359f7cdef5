//! The package of somebody who checks a protocol of their own, and the template that starts one.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::outcome::Done;
use crate::process::{self, cargo};

const EXAMPLE: &str = "examples/own-case";
/// Where packages are copied: as deep in the project as the example, so that relative paths lead to the same packages. One
/// folder for all copies: cargo takes two copies in `target` for one package, and looks for changes in the first one's files.
const COPY: &str = "target/package-copy";
const TEMPLATE: &str = "sample-1a2b3c4d-template";
const MODULE: &str = "sample_1a2b3c4d_template";

pub fn own_case(root: &Path) -> Result<Done> {
    let copy = copy_package(root, &root.join(EXAMPLE))?;
    let shared = |arguments: &str| in_copy(root, &copy, arguments);
    process::run(&mut shared("test --release"))?;
    process::run(&mut shared("run --release -- check bugs"))?;
    process::run(&mut shared(&format!("run --quiet --release -- new-case {TEMPLATE} --dir src")))?;
    name_in_main(&copy, MODULE)?;
    process::run(&mut shared("test --quiet --release headers"))?;
    process::run(&mut shared(&format!("run --quiet --release -- check {TEMPLATE}")))?;
    process::run(&mut shared(&format!("run --quiet --release -- explain {TEMPLATE}")))?;
    Ok(Done::Passed("example and template build and are checked".into()))
}

/// Copies a package, with the versions that everything else is tested with, not the newest there are. Returns the copy, which
/// takes the place of the one before.
///
/// # Errors
/// A file cannot be copied.
pub fn copy_package(root: &Path, package: &Path) -> Result<PathBuf> {
    let copy = root.join(COPY);
    // What an earlier run wrote would be in the way of templates.
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("cannot remove {}", copy.display()))?;
    }
    copy_files(package, &copy)?;
    fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    Ok(copy)
}

/// Builds a call of cargo in the copy. It shares the workspace's target folder, where most of what it needs is built.
pub fn in_copy(root: &Path, copy: &Path, arguments: &str) -> Command {
    let mut command = cargo(copy, arguments);
    command.env("CARGO_TARGET_DIR", root.join("target"));
    command
}

/// Does to the copy's `main` what `new-case` says to do.
fn name_in_main(copy: &Path, module: &str) -> Result<()> {
    let main = copy.join("src/main.rs");
    let text = fs::read_to_string(&main).with_context(|| format!("cannot read {}", main.display()))?;
    fs::write(&main, with_module(&text, module)?).with_context(|| format!("cannot write {}", main.display()))
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if entry.file_type()?.is_file() {
            fs::copy(&path, to.join(&name)).with_context(|| format!("cannot copy {}", path.display()))?;
        } else if name != "target" {
            copy_files(&path, &to.join(&name))?;
        }
    }
    Ok(())
}

fn with_module(main: &str, module: &str) -> Result<String> {
    let (list, first) = ("const BUGS: &[Bug] = &[", "mod counted_acks;\n");
    ensure!(
        main.contains(list) && main.contains(first),
        "{EXAMPLE}/src/main.rs is not as this step knows it"
    );
    let main = main.replace(list, &format!("{list}{module}::BUG, "));
    Ok(main.replace(first, &format!("{first}mod {module};\n")))
}

#[cfg(test)]
mod tests {
    use super::with_module;

    #[test]
    fn the_template_is_named_where_the_example_names_its_own() {
        let example = include_str!("../../../examples/own-case/src/main.rs");
        let main = with_module(example, "linux_x").expect("the example");
        assert!(main.contains("mod linux_x;\n"));
        assert!(main.contains("&[linux_x::BUG, counted_acks::BUG]"), "{main}");
        assert!(with_module("fn main() {}", "linux_x").is_err());
    }
}
