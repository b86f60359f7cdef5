use shootdown_machine::template::{self, Refused};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::NewCaseArgs;
use crate::failure::{AS_EXPECTED, Failure};

/// What a collection says of a sketch, and a story of fitting length; `@KERNEL@` and `@FILE@` stand for the kernel that
/// the bug's name begins with, and the name of its module.
const BUG: &str = include_str!("new_case/bug.rs");
const STORY: &str = include_str!("new_case/story.md");

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::bad_input(refused.what, refused.remedy)
    }
}

/// Runs `shootdown new-case`.
///
/// # Errors
/// A name that no bug can have, a file that is there already, a folder that cannot be written to.
pub fn new_case(args: &NewCaseArgs) -> Result<ExitCode, Failure> {
    let (name, module) = (&args.name, template::module(&args.name)?);
    let said = match args.corpus {
        true => as_a_bug(name, &module, &corpus(args, &module)?),
        false => as_a_sketch(name, &module, &template::sketch(name, &args.dir)?),
    };
    writeln!(anstream::stdout(), "{said}")?;
    Ok(ExitCode::from(AS_EXPECTED))
}

/// Writes what a collection says of a bug.
fn corpus(args: &NewCaseArgs, module: &str) -> Result<[PathBuf; 2], Failure> {
    let kernel = args.name.split('-').next().unwrap_or(&args.name);
    let files = [(format!("{module}_bug.rs"), BUG), (format!("{module}.md"), STORY)];
    let [bug, story] = files.map(|(file, text)| {
        (args.dir.join(file), text.replace("@KERNEL@", kernel).replace("@FILE@", module))
    });
    // Both or none.
    template::must_be_new(&story.0)?;
    template::must_be_new(&bug.0)?;
    template::write(&story.0, &story.1)?;
    template::write(&bug.0, &bug.1)?;
    Ok([bug.0, story.0])
}

fn as_a_sketch(name: &str, module: &str, path: &Path) -> String {
    format!(
        "\
Written: {}

It is a small bug that shows, to be replaced by yours. To see it, in a package
with a `main` like that of examples/own-case:
  1. name it in src/main.rs:
     mod {module};
     and in the list of sketches:
     {module}::SKETCH
  2. cargo run --release -- check {name}
  3. cargo run --release -- explain {name}

A story, a source and the engine's scenario come later, with what a collection
says of the bug:
     new-case {name} --corpus",
        path.display()
    )
}

fn as_a_bug(name: &str, module: &str, files: &[PathBuf; 2]) -> String {
    format!(
        "\
Written: {}
Written: {}

They belong beside the sketch, {module}.rs.
In a package with a program like src/bin/corpus.rs of examples/own-case:
  1. name them there:
     #[path = \"../{module}.rs\"]
     mod {module};
     #[path = \"../{module}_bug.rs\"]
     mod {module}_bug;
     and in the list of bugs:
     {module}_bug::BUG
  2. cargo run --release --features corpus --bin corpus -- \\
         check {name}

In this project itself the sketch and what is said of it are one file of
crates/cases/src/bugs/CLASS, with `use crate::bugs::Bug`,
`pub(super) const BUG`, no `story` and no `code`, and a line in each of the
two lists of that folder's mod.rs, the second of which adds those.",
        files[0].display(),
        files[1].display()
    )
}
