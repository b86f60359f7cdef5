//! What the command prints without arguments, and the commands that it suggests.

use crate::recordings::RECORDING;
use crate::shootdown;
use std::collections::BTreeMap;

const SEED: &str = "linux-bafb056c-sparc64-trim";
/// Lines that a run may take which comes out as expected.
const MOST_LINES: usize = 60;
/// Characters that every terminal has.
const MOST_COLUMNS: usize = 80;
/// Runs with `arguments`, and returns exit code and standard output.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = shootdown(arguments).output().expect("it runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

fn place(text: &str, part: &str) -> usize {
    text.find(part).unwrap_or_else(|| panic!("{part:?} is not in:\n{text}"))
}

#[test]
fn the_seeds_bug_comes_first_then_the_check_then_commands_that_work() {
    let (code, text) = run(&[]);
    assert_eq!(code, Some(0), "{text}");
    let parts = [
        SEED,
        // The notation, where it first appears.
        "`x := 1 (buffered)` is a store that waits",
        "CPU 0 CPU 1",
        "mm.mask := 0x1 (buffered)",
        "✗ CPU 1 can still use page 0",
        "its next store goes to memory that has a new owner",
        "engine compiled from source",
        "engine, pairs",
        "bugs, as published",
        " as expected; ",
        "Left out: ",
        "Next:",
    ];
    // Prose is wrapped.
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let places = parts.map(|part| place(&flat, part.trim()));
    assert!(places.is_sorted(), "{parts:?} are at {places:?} in:\n{text}");
    assert!(text.lines().count() <= MOST_LINES, "{} lines:\n{text}", text.lines().count());
    let before = &text[..place(&text, "Next:")];
    for line in before.lines() {
        assert!(line.chars().count() <= MOST_COLUMNS, "{line:?} runs past {MOST_COLUMNS} columns");
    }
    suggested_commands_work(&text[before.len()..]);
}

/// Runs each line of `next` in a shell, as a reader would.
fn suggested_commands_work(next: &str) {
    let codes = BTreeMap::from([("explain", 0), ("check --drop-rule", 1), ("check --list", 0)]);
    let mut ran = 0;
    for line in next.lines().skip(1) {
        let (_, code) = codes.iter().find(|(command, _)| line.contains(*command)).expect("a known command");
        let output = std::process::Command::new("sh").args(["-c", line]).output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(*code), "{line}: {said}");
        ran += 1;
    }
    assert_eq!(ran, codes.len(), "{next}");
}

#[test]
fn from_a_checkout_the_commands_are_cargos() {
    let output =
        shootdown(&["check", "two", "--drop-rule", "SD-9"]).env("CARGO_PKG_NAME", "shootdown-cli").output();
    let text = String::from_utf8(output.expect("it runs").stdout).expect("text");
    assert!(text.contains("`cargo run --release -- explain seed --drop-rule SD-9` shows how."), "{text}");
}

#[test]
fn many_cases_share_lines_and_verbose_gives_each_its_own() {
    let (_, folded) = run(&["check", "bugs"]);
    let all_found = |row: &str| {
        let words: Vec<&str> = row.split_whitespace().collect();
        words.windows(4).any(|four| four[0] == four[2] && four[1] == "of" && four[3] == "found")
    };
    let published = folded.lines().find(|row| row.starts_with("bugs, as published"));
    assert!(folded.lines().count() <= 20 && published.is_some_and(all_found), "{folded}");
    let (_, each) = run(&["check", "bugs", "--verbose"]);
    assert!(each.lines().filter(|line| line.contains("violates")).count() > 100, "{each}");
    for line in folded.lines().chain(each.lines()) {
        assert!(line.chars().count() <= MOST_COLUMNS, "{line:?} runs past {MOST_COLUMNS} columns");
    }
}

#[test]
fn nothing_runs_past_the_width_that_every_terminal_has_and_no_name_is_broken() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("work.txt"), RECORDING).expect("a file");
    let lines = [
        "check --list",
        "check bugs --list",
        "check weak --list",
        "check linux-16af97dc-shared-flag --mutants",
        "new-case toy-1a2b3c4d-counted-acks",
        "new-case toy-1a2b3c4d-counted-acks --corpus",
        "record-import work.txt",
        "replay work.txt.sdt --policy linux-x86 --tags",
        "bench --policy shootdown --workload pingpong --cpus 1 --spaces 1",
        "bench --grid --workload pingpong --cpus 2",
    ];
    let commands = [
        "check",
        "merge",
        "explain",
        "replay",
        "record-import",
        "new-case",
        "doctor",
        "boot",
        "bench",
        "man",
    ];
    let help = ["--help".to_owned()].into_iter().chain(commands.map(|command| format!("{command} --help")));
    for line in lines.map(str::to_owned).into_iter().chain(help) {
        let output = shootdown(&line.split(' ').collect::<Vec<_>>()).current_dir(folder.path()).output();
        let output = output.expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(
            output.status.success() && !text.is_empty(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        for shown in text.lines() {
            assert!(
                shown.chars().count() <= MOST_COLUMNS,
                "{line}: {shown:?} runs past {MOST_COLUMNS} columns"
            );
            assert!(!shown.ends_with('-') || shown.ends_with(" -"), "{line}: {shown:?} breaks a word");
        }
        for one in [" 1 CPUs", " 1 spaces", " 1 shapes", " 1 orderings", " 1 cells"] {
            assert!(!format!(" {text}").contains(one), "{line}: {one} in {text}");
        }
    }
}

#[test]
fn a_drawing_wraps_at_the_width_that_every_terminal_has() {
    for case in [SEED, "linux-2ff6ddf1-x86-lazy-tables"] {
        let (code, text) = run(&["explain", case]);
        assert_eq!(code, Some(0), "{text}");
        let (drawing, cpus) = (&text[place(&text, "Counterexample")..], ["CPU 0", "CPU 1"]);
        assert!(cpus.iter().all(|cpu| drawing.contains(cpu)), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= MOST_COLUMNS, "{line:?} runs past {MOST_COLUMNS} columns");
        }
    }
}
