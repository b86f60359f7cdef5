use shootdown_cases::bugs::is_kebab_case;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::NewCaseArgs;
use crate::failure::{AS_EXPECTED, Failure};

/// A bug that shows and a story of fitting length; `@NAME@`, `@KERNEL@` and `@FILE@` stand for the bug's name, the
/// kernel that it begins with, and the name of its file.
const MODEL: &str = include_str!("new_case/model.rs");
const STORY: &str = include_str!("new_case/story.md");

/// Runs `shootdown new-case`.
///
/// # Errors
/// A name that no bug can have, a file that is there already, a folder that cannot be written to.
pub fn new_case(args: &NewCaseArgs) -> Result<ExitCode, Failure> {
    let name = &args.name;
    if !is_kebab_case(name) {
        return Err(Failure::bad_input(
            format!("{name:?} is no name for a bug"),
            "names are small words and digits joined by hyphens, kernel first, as in toy-1a2b3c4d-counted-acks",
        ));
    }
    let module = name.replace('-', "_");
    let kernel = name.split('-').next().unwrap_or(name);
    let files = [("rs", MODEL), ("md", STORY)].map(|(extension, text)| {
        let path = args.dir.join(format!("{module}.{extension}"));
        (path, text.replace("@NAME@", name).replace("@KERNEL@", kernel).replace("@FILE@", &module))
    });
    for (path, _) in &files {
        if path.exists() {
            return Err(in_the_way(path));
        }
    }
    for (path, text) in &files {
        write(path, text)?;
    }
    writeln!(anstream::stdout(), "{}", next(name, &module, &files))?;
    Ok(ExitCode::from(AS_EXPECTED))
}

/// Writes a file that must not be there yet.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => in_the_way(path),
        _ => Failure::bad_input(
            format!("cannot write {}: {error}", path.display()),
            "give --dir a folder that is there and can be written to",
        ),
    })
}

fn in_the_way(path: &Path) -> Failure {
    Failure::bad_input(
        format!("{} is there already, and is left as it is", path.display()),
        "choose another name, or another folder with --dir",
    )
}

fn next(name: &str, module: &str, files: &[(PathBuf, String)]) -> String {
    let written: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    format!(
        "\
Written: {}

It is a small bug that shows, to be replaced by yours. To see it, in a package with a `main` like that of
examples/own-case:
  1. name it in src/main.rs:  mod {module};  and {module}::BUG in the list of bugs
  2. cargo run --release -- check {name}
  3. cargo run --release -- explain {name}

In this project itself: a file in crates/cases/src/bugs/CLASS, `use crate::bugs::{{Bug, boxed}}`,
`pub(super) const BUG`, and a line in that folder's mod.rs.",
        written.join(", ")
    )
}
