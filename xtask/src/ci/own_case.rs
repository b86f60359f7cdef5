//! The package of somebody who checks a protocol of their own, and the template that starts one.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

use super::steps::Done;
use crate::process::{self, cargo};

const EXAMPLE: &str = "examples/own-case";
/// As deep in the project as the example, so that its relative paths lead to the same packages.
const COPY: &str = "target/own-case";
const TEMPLATE: &str = "sample-1a2b3c4d-template";
const MODULE: &str = "sample_1a2b3c4d_template";

pub fn own_case(root: &Path) -> Result<Done> {
    let copy = root.join(COPY);
    // What an earlier run wrote would be in the way of the template.
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("cannot remove {}", copy.display()))?;
    }
    copy_files(&root.join(EXAMPLE), &copy)?;
    // The versions that everything else is tested with, not the newest there are.
    fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    // The target folder of the workspace, where the packages it depends on are built already.
    let shared = |arguments: &str| {
        let mut command = cargo(&copy, arguments);
        command.env("CARGO_TARGET_DIR", root.join("target"));
        command
    };
    process::run(&mut shared("test --quiet --release"))?;
    process::run(&mut shared("run --quiet --release -- check corpus"))?;
    process::run(&mut shared(&format!("run --quiet --release -- new-case {TEMPLATE} --dir src")))?;
    let main = copy.join("src/main.rs");
    let text = fs::read_to_string(&main).with_context(|| format!("cannot read {}", main.display()))?;
    fs::write(&main, with_template(&text)?).with_context(|| format!("cannot write {}", main.display()))?;
    process::run(&mut shared("test --quiet --release headers"))?;
    process::run(&mut shared(&format!("run --quiet --release -- check {TEMPLATE}")))?;
    process::run(&mut shared(&format!("run --quiet --release -- explain {TEMPLATE}")))?;
    Ok(Done::Passed("the example and the template build, and check finds their bugs".into()))
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

/// Does to the example's `main` what the template says to do.
fn with_template(main: &str) -> Result<String> {
    let (list, module) = ("const BUGS: &[Bug] = &[", "mod counted_acks;\n");
    ensure!(
        main.contains(list) && main.contains(module),
        "{EXAMPLE}/src/main.rs is not as this step knows it"
    );
    let main = main.replace(list, &format!("{list}{MODULE}::BUG, "));
    Ok(main.replace(module, &format!("{module}mod {MODULE};\n")))
}

#[cfg(test)]
mod tests {
    use super::with_template;

    #[test]
    fn the_template_is_named_where_the_example_names_its_own() {
        let example = include_str!("../../../examples/own-case/src/main.rs");
        let main = with_template(example).expect("the example");
        assert!(main.contains("mod sample_1a2b3c4d_template;\n"));
        assert!(main.contains("&[sample_1a2b3c4d_template::BUG, counted_acks::BUG]"), "{main}");
        assert!(with_template("fn main() {}").is_err());
    }
}
