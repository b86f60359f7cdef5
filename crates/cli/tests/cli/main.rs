//! The command as its users have it: what it prints, what it refuses, and its exit codes.

mod doctor;
mod exit_codes;
mod first_minute;
mod pages;
mod real_cases;
mod recordings;
mod shards;
mod shell;

use assert_cmd::Command;
use predicates::str::contains;
use std::path::Path;

/// A command that neither cargo nor a terminal has told anything.
fn shootdown(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("shootdown").expect("the binary is built with its tests");
    for name in ["CARGO_PKG_NAME", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// Runs with `arguments`, demands exit code 0, and returns what it printed.
fn printed(arguments: &[&str]) -> String {
    let output = shootdown(arguments).assert().code(0).get_output().stdout.clone();
    String::from_utf8(output).expect("text")
}

/// Runs with `arguments`; demands exit code 2 and each of `said` on standard error, nothing on standard output.
fn refused(arguments: &[&str], said: &[&str]) {
    let mut assert = shootdown(arguments).assert().code(2).stdout("");
    for part in said {
        assert = assert.stderr(contains(*part));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a name in UTF-8")
}
