//! What shells and manuals want to know: completions and manual pages, made from the command line itself.

use clap::CommandFactory;
use clap_mangen::Man;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::failure::{AS_EXPECTED, Failure};

/// Runs `shootdown completions`.
///
/// # Errors
/// Output that cannot be written.
pub fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "shootdown", &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::from(AS_EXPECTED))
}

/// Runs `shootdown man`.
///
/// # Errors
/// Output that cannot be written.
pub fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        io::stdout().write_all(&page)?;
        return Ok(ExitCode::from(AS_EXPECTED));
    };
    let written = write_pages(dir).map_err(|error| {
        Failure::bad_input(
            format!("cannot write pages to {}: {error}", dir.display()),
            "give --dir a folder that is there, in which you may write",
        )
    })?;
    writeln!(anstream::stdout(), "{written} pages written to {}", dir.display())?;
    Ok(ExitCode::from(AS_EXPECTED))
}

/// Writes a page for the command and one for each of its commands; returns how many.
fn write_pages(dir: &Path) -> io::Result<usize> {
    let mut root = Cli::command();
    root.build();
    let mut pages = 1;
    Man::new(root.clone()).generate_to(dir)?;
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        Man::new(command.clone()).generate_to(dir)?;
        pages += 1;
    }
    Ok(pages)
}
