//! Comfort in a shell: completions, manual pages, examples, colours that know when to stay away.

use crate::{printed, shootdown};
use predicates::prelude::*;
use predicates::str::contains;

const COMMANDS: [&str; 10] = [
    "check",
    "merge",
    "explain",
    "replay",
    "record-import",
    "new-case",
    "boot",
    "bench",
    "completions",
    "man",
];

#[test]
fn each_command_shows_examples_that_it_understands_itself() {
    for command in COMMANDS {
        let help = printed(&[command, "--help"]);
        assert!(help.contains("Examples:"), "{command}: {help}");
        let example = format!("shootdown {command}");
        assert!(help.contains(&example), "{command} has no example of its own");
    }
    let all = printed(&["--help"]);
    assert!(COMMANDS.iter().all(|command| all.contains(command)), "{all}");
}

#[test]
fn completions_of_each_shell_know_all_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        for word in COMMANDS.iter().chain(&["drop-rule", "shard"]) {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    shootdown(&["completions", "tcsh"]).assert().code(2).stderr(contains("'tcsh'").and(contains("fish")));
}

#[test]
fn bash_completes_a_command_and_an_option() {
    let script = printed(&["completions", "bash"]);
    let ask = "COMP_WORDS=(shootdown check --dro); COMP_CWORD=2; _shootdown shootdown --dro check; \
               echo \"${COMPREPLY[@]}\"";
    let bash = std::process::Command::new("bash").args(["-c", &format!("{script}\n{ask}")]).output();
    let Ok(output) = bash else {
        // A host without bash has nobody to complete for.
        assert!(script.contains("--drop-rule"));
        return;
    };
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(said.contains("--drop-rule") && said.contains("--drop-site"), "{said}");
}

#[test]
fn completions_offer_cases_and_policies_and_scenarios() {
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completions", shell]);
        for name in [
            "linux-bafb056c-sparc64-trim",
            "upgrade-vs-last-drop",
            "pairs",
            "linux-x86-6.1",
            "mapbench",
            "sqpoll",
        ] {
            assert!(script.contains(name), "{shell} does not offer {name}");
        }
    }
}

#[test]
fn manual_pages_are_printed_or_written_one_for_each_command() {
    shootdown(&["man"]).assert().code(0).stdout(contains(".TH shootdown 1").and(contains("check")));
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().to_str().expect("UTF-8");
    shootdown(&["man", "--dir", path]).assert().code(0).stdout(contains("12 pages written"));
    for command in COMMANDS {
        let page =
            std::fs::read_to_string(folder.path().join(format!("shootdown-{command}.1"))).expect("a page");
        assert!(page.contains("Examples:"), "{command}");
    }
    assert!(folder.path().join("shootdown.1").is_file());
    let missing = folder.path().join("none");
    let missing = missing.to_str().expect("UTF-8");
    shootdown(&["man", "--dir", missing]).assert().code(2).stderr(contains(missing).and(contains("--dir")));
}

#[test]
fn colours_go_to_terminals_or_where_they_are_forced_and_never_against_no_color() {
    let check = ["check", "seed", "--workers", "1"];
    let escape = || contains("\u{1b}[");
    shootdown(&check).assert().code(0).stdout(escape().not());
    shootdown(&check).env("CLICOLOR_FORCE", "1").assert().code(0).stdout(escape());
    shootdown(&check).env("CLICOLOR", "0").assert().code(0).stdout(escape().not());
    shootdown(&check).env("NO_COLOR", "1").assert().code(0).stdout(escape().not());
    shootdown(&["explain", "seed", "--html"]).env("NO_COLOR", "1").assert().code(2).stderr(escape().not());
}
