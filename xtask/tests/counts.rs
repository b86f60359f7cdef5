//! The counts themselves, under valgrind.

use std::process::Command;

fn counts(arguments: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_measure"));
    let run = program.arg("counts").args(arguments).output().expect("the program starts");
    String::from_utf8(run.stdout).expect("UTF-8")
}

#[test]
fn two_runs_give_the_same_counts() {
    let first = counts(&["--json"]);
    let table: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    let rows = table["rows"].as_array().expect("rows");
    assert!(!rows.is_empty());
    assert!(rows.iter().all(|row| row["instructions"].as_u64().is_some_and(|count| count > 0)));
    assert_eq!(first, counts(&["--json"]));
}
