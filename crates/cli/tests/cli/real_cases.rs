//! The commands on the bug collection, which is small: what one writes the other reads.

use crate::{printed, shootdown, text};
use predicates::str::contains;
use serde_json::Value;

/// Names of the bug collection's broken cases.
fn broken() -> Vec<String> {
    let list = printed(&["check", "bugs", "--list", "--json"]);
    let entries = list.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let broken = entries.filter(|entry| entry["expected"] == "violates");
    broken.map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn every_bug_of_the_corpus_is_found_and_its_execution_replays() {
    let cases = broken();
    assert!(!cases.is_empty());
    for case in cases {
        let list = printed(&["explain", &case, "--text", "--workers", "1"]);
        assert!(list.len() <= 4096, "{case}: {} bytes", list.len());
        shootdown(&["replay", "-"]).write_stdin(list).assert().code(0).stdout(contains("Reproduced"));
    }
}

#[test]
fn a_shortened_execution_does_not_reproduce() {
    let list = printed(&["explain", &broken()[0], "--text", "--workers", "1"]);
    let shorter: Vec<&str> = list.lines().collect();
    let shorter = shorter[..shorter.len() - 1].join("\n");
    shootdown(&["replay", "-"]).write_stdin(shorter).assert().code(1).stdout(contains("Not reproduced"));
}

#[test]
fn a_bug_is_drawn_as_a_picture() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bug.svg");
    printed(&["explain", &broken()[0], "--workers", "1", "--svg", text(&path)]);
    let picture = std::fs::read_to_string(&path).expect("a picture");
    assert!(roxmltree::Document::parse(&picture).is_ok());
}

#[test]
fn a_picture_that_cannot_be_written_is_refused_before_the_run() {
    let missing = std::path::Path::new("no-such-folder").join("bug.svg");
    let missing = text(&missing);
    shootdown(&["explain", &broken()[0], "--svg", missing])
        .assert()
        .code(2)
        .stderr(contains(missing))
        .stdout("");
    shootdown(&["check", &broken()[0], "--json-file", missing])
        .assert()
        .code(2)
        .stderr(contains(missing))
        .stdout("");
}

#[test]
fn json_results_are_one_object_a_line_on_standard_output_and_in_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("results.jsonl");
    let file = text(&path);
    let out = printed(&["check", &broken()[0], "--workers", "1", "--json", "--json-file", file]);
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), out);
    let records: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("one object")).collect();
    let said =
        |record: &Value| [&record["kind"], &record["verdict"], &record["as_expected"]].map(Value::to_string);
    assert_eq!(said(&records[0]), ["\"bug\"", "\"violates\"", "true"]);
    assert_eq!(
        said(&records[1]),
        ["\"engine\"", "\"holds\"", "true"],
        "the engine's scenario that the bug names"
    );
    assert_eq!(records.len(), 2);
}

#[test]
fn the_list_says_where_a_bug_is_from_and_counts_bugs_by_class() {
    let list = printed(&["check", "linux-bafb056c-sparc64-trim", "--list", "--json"]);
    let entry: Value = serde_json::from_str(list.lines().next().expect("a line")).expect("JSON");
    let text = |key: &str| entry[key].as_str().unwrap_or_else(|| panic!("{key}: {}", entry[key])).to_owned();
    assert_eq!(text("name"), "linux-bafb056c-sparc64-trim/broken");
    assert_eq!((text("id"), text("class"), text("kernel")), ("A1".into(), "A".into(), "Linux".into()));
    assert_eq!(
        (text("arch"), text("needs"), text("engine")),
        ("sparc64".into(), "interleaving".into(), "seed".into())
    );
    assert_eq!((&entry["rules"], &entry["cpus"]), (&serde_json::json!(["SD-3", "SD-9"]), &2.into()));
    assert!(printed(&["check", "linux-bafb056c-sparc64-trim", "--list"]).ends_with("    1  in all\n"));
    assert!(!printed(&["check", "pairs", "--list"]).contains("in all"));
}

#[test]
fn the_whole_corpus_comes_out_as_expected_with_the_engines_scenarios_that_it_names() {
    let results = printed(&["check", "bugs", "--json"]);
    assert!(results.lines().any(|line| line.contains("\"name\":\"seed\"")));
}

#[test]
fn a_case_with_the_other_variants_protocol_fails_and_is_named() {
    for variant in ["broken", "fixed"] {
        let case = format!("linux-bafb056c-sparc64-trim/{variant}");
        let said = contains(format!("Not as expected: {case}"));
        shootdown(&["check", &case, "--swap", &case]).assert().code(1).stdout(said);
    }
}
