//! The command `shootdown`, with the bugs of this project.

use std::process::ExitCode;

fn main() -> ExitCode {
    let bugs: Vec<_> = shootdown_cases::bugs::all().copied().collect();
    shootdown_cli::main_with(&bugs)
}
