//! `check --shard` and `merge`: parts of a check, run apart, come to what the whole check says.

use crate::{printed, shootdown, text};
use predicates::str::contains;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A dozen quick bugs, and the engine's scenarios that they name.
const FEW: &str = "linux-1*";

/// Runs all `of` shards of `check` with `arguments` side by side, and returns their files.
fn shards(folder: &Path, of: usize, arguments: &[&str]) -> Vec<PathBuf> {
    let files: Vec<PathBuf> = (1..=of).map(|index| folder.join(format!("{index}.jsonl"))).collect();
    let run = |(index, file): (usize, &PathBuf)| {
        let shard = format!("{}/{of}", index + 1);
        let binary = assert_cmd::cargo::cargo_bin("shootdown");
        let mut command = std::process::Command::new(binary);
        command.args(["check", "--workers", "1", "--shard", &shard, "--json-file", text(file)]);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it starts")
    };
    let mut running: Vec<_> = files.iter().enumerate().map(run).collect();
    for child in &mut running {
        child.wait().expect("it ends");
    }
    files
}

/// Merges `files`: exit code, and what was printed.
fn merged(files: &[PathBuf], arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = shootdown(&["merge"]);
    let output = command.args(arguments).args(files).output().expect("it runs");
    let read = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), read(output.stdout), read(output.stderr))
}

/// JSON lines without what differs from run to run: times, and counts, as stacks may have been used by other cases
/// before.
fn timeless(lines: &str) -> Vec<Value> {
    let mut records: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    for record in &mut records {
        for count in ["seconds", "states", "executions", "peak_bytes", "bytes_per_state"] {
            record.as_object_mut().expect("an object").remove(count).expect("a number");
        }
    }
    records
}

/// Each case in JSON lines that are results, with its states.
fn counted(lines: &str) -> BTreeMap<String, u64> {
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let result =
        |record: Value| Some((record.get("name")?.as_str()?.to_owned(), record.get("states")?.as_u64()?));
    records.filter_map(result).collect()
}

/// Demands that `files` are refused, with all of `said`.
fn refused(files: &[PathBuf], said: &[&str]) {
    let (code, out, error) = merged(files, &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
    for part in said {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn three_shards_side_by_side_come_to_what_the_whole_check_says() {
    let folder = tempfile::tempdir().expect("a directory");
    let files = shards(folder.path(), 3, &[FEW]);
    let whole = shootdown(&["check", FEW, "--workers", "1", "--json"]).output().expect("it runs");
    let mixed: Vec<PathBuf> = [2, 0, 1].map(|at: usize| files[at].clone()).to_vec();
    let (code, out, error) = merged(&mixed, &["--json"]);
    assert_eq!(code, whole.status.code(), "{error}");
    let whole_lines = String::from_utf8(whole.stdout).expect("text");
    assert!(timeless(&whole_lines).len() > 6, "enough for each shard to have several");
    assert_eq!(timeless(&out), timeless(&whole_lines));
    let parts: BTreeMap<String, u64> =
        files.iter().flat_map(|file| counted(&fs::read_to_string(file).expect("a shard"))).collect();
    assert_eq!(counted(&out), parts, "counts are those of the shards");
    assert!(error.contains("as expected"), "{error}");
    let (code, table, _) = merged(&files, &[]);
    assert!(
        code == Some(0) && table.contains("linux-1013af4f") && table.contains("upgrade-vs-last-drop"),
        "{table}"
    );
}

#[test]
fn a_removed_rule_is_noticed_by_the_merge_as_by_the_whole_check() {
    let removed = ["two", "--drop-rule", "SD-9"];
    let folder = tempfile::tempdir().expect("a directory");
    let files = shards(folder.path(), 2, &removed);
    let mut whole = shootdown(&["check", "--workers", "1", "--json"]);
    let whole = whole.args(removed).output().expect("it runs");
    let (code, out, error) = merged(&files, &["--json"]);
    assert_eq!((code, whole.status.code()), (Some(1), Some(1)), "{error}");
    assert_eq!(timeless(&out), timeless(&String::from_utf8(whole.stdout).expect("text")));
    assert!(error.contains("SD-9 is removed. Caught by: seed"), "{error}");
}

#[test]
fn shards_of_no_case_at_all_are_shards_too() {
    let folder = tempfile::tempdir().expect("a directory");
    let files = shards(folder.path(), 3, &["seed"]);
    let (code, out, error) = merged(&files, &["--json"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{error}");
}

#[test]
fn missing_and_double_and_differing_shards_are_named() {
    let folder = tempfile::tempdir().expect("a directory");
    let files = shards(folder.path(), 3, &["seed"]);
    refused(&files[..1], &["missing: shard 2/3, shard 3/3", "--shard I/N"]);
    let twice = [&files[..], &files[1..2]].concat();
    refused(&twice, &["shard 2/3 is there twice", "2.jsonl", "leave one"]);
    let other = folder.path().join("other");
    std::fs::create_dir(&other).expect("a folder");
    let halves = shards(&other, 2, &["seed"]);
    refused(&[files[0].clone(), halves[1].clone()], &["shard 1/3", "shard 2/2"]);
    let pso = shards(&other, 3, &["seed", "--memory", "pso"]);
    refused(&[files[0].clone(), pso[1].clone(), files[2].clone()], &["--memory null", "--memory \"pso\""]);
    let edit = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&files[2]).expect("a file");
        assert!(text.contains(from), "{text}");
        let path = other.join("edited.jsonl");
        std::fs::write(&path, text.replace(from, to)).expect("a file");
        [files[0].clone(), files[1].clone(), path]
    };
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    refused(&edit(&version, "\"version\":\"9.8.7\""), &["version 9.8.7", "one build"]);
    refused(&edit("\"catalogue\":\"", "\"catalogue\":\"f"), &["other cases", "one build"]);
}

#[test]
fn files_that_are_cut_off_or_hold_something_else_are_named_with_their_line() {
    let folder = tempfile::tempdir().expect("a directory");
    let files = shards(folder.path(), 2, &["seed", "lazy-return"]);
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let good = std::fs::read_to_string(&files[0]).expect("a file");
    let lines: Vec<&str> = good.lines().collect();
    let [head, record, end] = lines[..] else { panic!("{good}") };
    let with = |name, lines: &[&str]| [write(name, &lines.join("\n")), files[1].clone()];
    refused(&with("cut", &[head, record]), &["cut: ", "shard 1/2 was cut off after 1 results"]);
    refused(&with("short", &[head, end]), &["ended with 1 results, and 0 are there"]);
    refused(&with("headless", &[record, end]), &["headless, line 1", "no shard that has begun"]);
    refused(&with("noise", &[head, "warning: x"]), &["noise, line 2", "warning: x"]);
    refused(&with("empty", &[]), &["empty holds no results"]);
    let stranger = record.replace("\"name\":\"seed\"", "\"name\":\"sead\"");
    refused(&with("stranger", &[head, &stranger, end]), &["a result of sead where that of seed belongs"]);
    refused(&[folder.path().join("gone")], &["cannot read", "gone"]);
    let cut_short = end.replace("\"results\":1,\"interrupted\":false", "\"results\":0,\"interrupted\":true");
    let (code, out, _) = merged(&with("stopped", &[head, &cut_short]), &[]);
    assert!(code == Some(130) && out.contains("Not run: seed"), "{code:?} {out}");
}

#[test]
fn all_shards_may_come_in_one_stream() {
    let folder = tempfile::tempdir().expect("a directory");
    let files = shards(folder.path(), 2, &["seed", "lazy-return"]);
    let all: String = files.iter().map(|file| std::fs::read_to_string(file).expect("a file")).collect();
    shootdown(&["merge", "-"]).write_stdin(all).assert().code(0).stdout(contains("2 of 2 as expected"));
}

#[test]
fn a_merge_wants_files() {
    shootdown(&["merge"]).assert().code(2).stderr(contains("<FILE>"));
}

#[test]
fn the_list_of_a_shard_names_its_cases_alone() {
    let list = |shard: &str| printed(&["check", "two", "--shard", shard, "--list", "--json"]).lines().count();
    let whole = printed(&["check", "two", "--list", "--json"]).lines().count();
    assert_eq!(list("1/2") + list("2/2"), whole);
    assert!(list("1/2") < whole);
}
