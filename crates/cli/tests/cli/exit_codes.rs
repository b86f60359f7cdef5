//! Input that cannot be used: exit code 2, the value, and what to do instead.

use crate::{printed, refused, shootdown};
use predicates::prelude::*;
use predicates::str::contains;
use shootdown::trace::rules::LAST as LAST_RULE;

#[test]
fn an_unknown_command_or_option_is_refused() {
    refused(&["chekc"], &["chekc", "check"]);
    refused(&["check", "--memry", "sc"], &["--memry", "--memory"]);
    refused(&["check", "lazy-return", "--no-engine"], &["--no-engine leaves them out", "choose bugs"]);
    refused(&["bench", "hosts"], &["hosts", "seed, host"]);
}

#[test]
fn a_template_is_written_once_and_only_under_a_name_that_a_bug_can_have() {
    let directory = tempfile::tempdir().expect("a directory");
    let folder = directory.path().to_str().expect("a name in UTF-8");
    for name in ["Toy-Acks", "toy", "toy_acks", "toy-", "../toy-acks", ""] {
        refused(&["new-case", name, "--dir", folder], &["is no name for a bug", "toy-1a2b3c4d-counted-acks"]);
    }
    shootdown(&["new-case", "toy-acks", "--dir", folder])
        .assert()
        .code(0)
        .stdout(contains("toy_acks.rs").and(contains("--corpus")).and(contains("check toy-acks")));
    let model = std::fs::read_to_string(directory.path().join("toy_acks.rs")).expect("the model");
    assert!(model.contains("\"toy-acks\"") && model.contains("\"toy_acks.rs\"") && !model.contains('@'));
    assert!(!directory.path().join("toy_acks.md").exists(), "a story is the second step");
    shootdown(&["new-case", "toy-acks", "--dir", folder, "--corpus"])
        .assert()
        .code(0)
        .stdout(contains("../toy_acks_bug.rs").and(contains("toy_acks.md")).and(contains("check toy-acks")));
    let bug = std::fs::read_to_string(directory.path().join("toy_acks_bug.rs")).expect("the header");
    assert!(bug.contains("super::toy_acks::SKETCH") && bug.contains("\"toy_acks.md\"") && !bug.contains('@'));
    refused(&["new-case", "toy-acks", "--dir", folder, "--corpus"], &["toy_acks.md is there already"]);
    std::fs::remove_file(directory.path().join("toy_acks.md")).expect("it is there");
    refused(&["new-case", "toy-acks", "--dir", folder, "--corpus"], &["toy_acks_bug.rs is there already"]);
    assert!(!directory.path().join("toy_acks.md").exists(), "both files are written, or none");
    std::fs::write(directory.path().join("toy_acks.rs"), "mine").expect("a file");
    refused(&["new-case", "toy-acks", "--dir", folder], &["toy_acks.rs is there already"]);
    assert_eq!(std::fs::read_to_string(directory.path().join("toy_acks.rs")).expect("it"), "mine");
    let missing = directory.path().join("no-such-folder");
    refused(
        &["new-case", "toy-acks", "--dir", missing.to_str().expect("UTF-8")],
        &["no-such-folder", "--dir"],
    );
}

#[test]
fn the_slowest_cases_are_named_and_a_number_that_names_none_is_refused() {
    for number in ["0", "few", "65536", "1.5"] {
        refused(&["check", "seed", "--slowest", number], &["--slowest", number]);
    }
    refused(&["check", "--list", "--slowest", "1"], &["--slowest", "--list"]);
    shootdown(&["check", "seed", "--slowest", "3"]).assert().code(0).stdout(contains("\nSlowest: seed 0."));
    shootdown(&["check", "seed", "--slowest", "1", "--json"])
        .assert()
        .code(0)
        .stderr(contains("\nSlowest: seed 0."));
}

#[test]
fn an_unknown_case_is_refused_with_the_way_to_list_them() {
    refused(&["check", "no-such-case"], &["\"no-such-case\"", "check --list"]);
    refused(&["explain", "no-such-case"], &["\"no-such-case\"", "check --list"]);
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    refused(&["check", "--cpus", "0"], &["'0'", "1 to 8 CPUs", "every interleaving"]);
    refused(&["check", "--cpus", "9"], &["'9'", "1 to 8 CPUs", "every interleaving"]);
    refused(&["check", "--workers", "0"], &["'0'", "1 to 64"]);
    refused(&["check", "--deadline", "-1"], &["above 0"]);
    refused(&["check", "--deadline", "soon"], &["'soon'", "seconds"]);
    refused(&["check", "--memory-budget", "much"], &["'much'", "512MiB"]);
    refused(&["check", "--contexts", "0"], &["'0'", "1 to 4095"]);
    refused(&["check", "--contexts", "few"], &["'few'", "1 to 4095"]);
    refused(&["check", "--random", "0"], &["'0'", "--random"]);
    refused(&["check", "--seed", "1"], &["--random"]);
    refused(&["check", "--random", "5", "--contexts", "2"], &["--random", "--contexts"]);
    refused(&["explain", "seed", "--all-findings", "--text"], &["--all-findings", "--text"]);
    refused(&["check", "--list", "--resume", "file"], &["--resume", "--list"]);
}

#[test]
fn a_part_of_all_executions_proves_nothing_and_is_labelled_wherever_it_is_told() {
    for part in [["--contexts", "2"].as_slice(), &["--random", "20", "--seed", "9"]] {
        let no_proof = contains("unproved").and(contains("Not a proof")).and(contains("holds").not());
        shootdown(&[&["check", "lazy-return"], part].concat()).assert().code(3).stdout(no_proof);
    }
    let said =
        contains("Not a proof").and(contains("20 random executions (seed 9)")).and(contains("Holds").not());
    shootdown(&["explain", "lazy-return", "--random", "20", "--seed", "9"]).assert().code(3).stdout(said);
    let record = contains("\"verdict\":\"unproved\"")
        .and(contains("\"complete\":false"))
        .and(contains("\"as_expected\":false"))
        .and(contains("\"partly\":\"random 20, seed 9\""));
    shootdown(&["check", "lazy-return", "--random", "20", "--seed", "9", "--json"])
        .assert()
        .code(3)
        .stdout(record);
    // What such a run finds is found.
    let bug = "linux-bafb056c-sparc64-trim/broken";
    shootdown(&["check", bug, "--random", "5000", "--json"])
        .assert()
        .stdout(contains(format!("\"name\":\"{bug}\"")));
}

#[test]
fn all_findings_are_listed_and_drawn_once_each() {
    let arguments = ["check", "seed", "--drop-rule", "SD-9", "--all-findings", "--json"];
    let output = shootdown(&arguments).assert().code(1).get_output().stdout.clone();
    let record: serde_json::Value = serde_json::from_slice(&output).expect("one record");
    let findings = record["findings"].as_array().expect("findings");
    let messages: std::collections::BTreeSet<&str> =
        findings.iter().map(|finding| finding["message"].as_str().expect("words")).collect();
    assert!(findings.len() > 1 && messages.len() == findings.len(), "{record}");
    assert!(
        findings.iter().all(|finding| finding["steps"].as_u64().is_some_and(|steps| steps > 0)),
        "{record}"
    );
    assert_eq!((&record["message"], &record["verdict"]), (&findings[0]["message"], &findings[0]["verdict"]));
    let table = shootdown(&arguments[..5]).assert().code(1).get_output().stdout.clone();
    let table = String::from_utf8(table).expect("text");
    let list: Vec<&str> =
        table.lines().filter(|line| line.starts_with("    1. ") || line.starts_with("    2. ")).collect();
    assert_eq!(list.len(), 2, "{table}");
    let count = findings.len();
    shootdown(&["explain", "seed", "--drop-rule", "SD-9", "--all-findings"]).assert().code(0).stdout(
        contains(format!("the first of {count} findings"))
            .and(contains(format!("Finding {count} of {count}"))),
    );
}

#[test]
fn a_check_that_was_stopped_goes_on_where_it_was_and_another_one_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kept");
    let path = file.to_str().expect("UTF-8");
    let first = printed(&["check", "lazy-return", "seed", "--resume", path, "--json"]);
    // Killed in the middle of a line.
    let kept = std::fs::read_to_string(&file).expect("text");
    let lines: Vec<&str> = kept.lines().collect();
    assert_eq!(lines.len(), 3, "{kept}");
    std::fs::write(&file, format!("{}\n{}\n{}", lines[0], lines[1], &lines[2][..20])).expect("written");
    let second = printed(&["check", "lazy-return", "seed", "--resume", path, "--json"]);
    let (one, two): (Vec<&str>, Vec<&str>) = (first.lines().collect(), second.lines().collect());
    // How long a case took is not the same twice, unless it did not run twice.
    assert_eq!((one[0], one.len()), (two[0], two.len()));
    assert_eq!(std::fs::read_to_string(&file).expect("text").lines().count(), 3);
    refused(&["check", "seed", "--resume", path], &[path, "begun with NAME", "give another file"]);
    std::fs::write(&file, "mine").expect("written");
    refused(&["check", "seed", "--resume", path], &["holds no results of a check"]);
    assert_eq!(std::fs::read_to_string(&file).expect("text"), "mine");
}

#[test]
fn names_from_a_fixed_list_are_refused_with_the_list() {
    refused(&["check", "--memory", "arm"], &["'arm'", "sc, tso, pso, weak"]);
    let (next, all) = (format!("SD-{}", LAST_RULE + 1), format!("SD-1 to SD-{LAST_RULE};"));
    refused(&["check", "--drop-rule", &next], &[&format!("'{next}'"), &all, "INVARIANTS.md"]);
    refused(&["check", "--drop-site", "no-such-site"], &["'no-such-site'"]);
    refused(&["check", "--drop-rule", "SD-1", "--drop-site", "x"], &["--drop-site"]);
    refused(&["check", "--swap", "no-such-bug/fixed"], &["\"no-such-bug/fixed\"", "bugs --list"]);
}

#[test]
fn a_list_that_is_not_there_is_refused() {
    refused(&["replay", "no-such-file"], &["no-such-file", "explain NAME --text"]);
}

#[test]
fn fixes_that_have_nothing_to_take_out_show_nothing() {
    let bug = "linux-bafb056c-sparc64-trim";
    refused(&["check", bug, "--mutants"], &["nothing to take out", bug, "check bugs --mutants"]);
    refused(&["check", bug, "--mutants", "--json"], &["nothing to take out"]);
    refused(&["check", "seed", "--mutants"], &["are the engine's", "have no fixes"]);
    shootdown(&["check", "linux-16af97dc-shared-flag", "--mutants"])
        .assert()
        .code(0)
        .stdout(contains("1 of 1 part of fixes noticed when taken out, 0 steps and 1 ordering"));
}

#[test]
fn a_malformed_list_is_refused_with_its_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("list");
    std::fs::write(&path, "# shootdown replay 1\ncase a\nmemory tso\n0 jump\n").expect("a file");
    let path = path.to_str().expect("a name in UTF-8");
    refused(&["replay", path], &["line 4", "\"0 jump\"", "`CPU run`"]);
    shootdown(&["replay", "-"]).write_stdin("nonsense\n").assert().code(2).stderr(contains("line 1"));
}

#[test]
fn a_list_of_an_unknown_case_or_rule_is_refused() {
    for (text, said) in [
        ("# shootdown replay 1\ncase no-such-case\nmemory tso\n0 run\n", "no-such-case"),
        ("# shootdown replay 1\ncase a\nmemory tso\ndrop SD-0\n0 run\n", "rules are SD-1 to SD-"),
    ] {
        shootdown(&["replay", "-"]).write_stdin(text).assert().code(2).stderr(contains(said));
    }
}

#[test]
fn an_unknown_policy_or_workload_or_number_of_cpus_is_refused_with_what_there_is() {
    refused(&["bench", "--policy", "linux-x68"], &["\"linux-x68\"", "linux-x86", "exact-sharers"]);
    refused(&["bench", "--workload", "pingpon"], &["\"pingpon\"", "did you mean: pingpong"]);
    for cpus in ["0", "4097", "-1", "many"] {
        refused(&["bench", "--cpus", cpus], &[cpus, "1 to 4096 CPUs"]);
    }
    for seed in ["-1", "NaN", "18446744073709551616", "0x1"] {
        refused(&["bench", "--seed", seed], &[seed, "a seed is a number from 0"]);
    }
    refused(&["bench", "--spaces", "0"], &["'0'", "1 to 65536 spaces"]);
    refused(&["bench", "host", "--sharers", "-1"], &["'-1'", "1..64"]);
    refused(&["bench", "--policy", "redox", "--policy", "foo"], &["no policy is called \"foo\""]);
    refused(&["bench", "--grid", "--cpus", "5"], &["no shape of 5 CPUs", "2x1, 4x1", "32x2"]);
    refused(&["bench", "seed", "--grid"], &["error: --grid changes nothing here", "an option of bench\n"]);
    refused(&["bench", "seed", "--policy", "none"], &["error: --policy changes nothing here"]);
    refused(&["bench", "host", "--seed", "2"], &["error: --seed changes nothing", "bench and bench seed"]);
    refused(&["bench", "--sharers", "2"], &["error: --sharers changes nothing", "bench host"]);
    refused(&["bench", "--grid", "--policy", "redox"], &["--grid", "--policy"]);
}

#[test]
fn a_grid_counts_what_is_lost_and_tables_fit_eighty_columns() {
    let grid = ["bench", "--grid", "--cpus", "4", "--spaces", "2", "--workload", "mapbench"];
    let json: serde_json::Value = serde_json::from_slice(
        &shootdown(&[&grid[..], &["--json"]].concat()).assert().code(0).get_output().stdout,
    )
    .expect("JSON");
    let lost = |what: &str| {
        let losses = json["losses"].as_array().expect("a list");
        losses.iter().filter(|loss| loss["counted"] == what).count() as u64
    };
    assert_eq!(json["cells"].as_array().map(Vec::len), Some(9), "three workloads with three seeds");
    assert_eq!(json["lost_in_ipis"].as_u64(), Some(lost("ipis")));
    assert_eq!(json["lost_in_cycles"].as_u64(), Some(lost("cycles")));
    let tables = [&grid[..], &["bench", "--workload", "pingpong", "--spaces", "99"], &["bench", "seed"]];
    for arguments in tables {
        let text = printed(arguments);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}

#[test]
fn a_load_that_says_nothing_is_marked() {
    let run = |arguments: &[&str]| {
        let all = [&["bench", "--policy", "shootdown"], arguments].concat();
        let text = printed(&all);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(run(&["--workload", "pingpong"]).contains("nothing is unmapped"));
    assert!(run(&["--workload", "reclaim", "--cpus", "1"]).contains("there is nobody to tell"));
    assert!(run(&["--workload", "reclaim", "--spaces", "99"]).contains("99 spaces were asked for"));
    let one = shootdown(&["bench", "seed", "--cpus", "1"]).assert().code(0).get_output().stdout.clone();
    assert!(String::from_utf8(one).expect("text").contains("there is nobody to tell"));
}

#[test]
fn the_same_seed_prints_the_same_counts() {
    let run = || {
        let bench = ["bench", "--json", "--cpus", "6", "--seed", "9", "--workload", "mmap-server"];
        shootdown(&bench).assert().code(0).get_output().stdout.clone()
    };
    let first = run();
    assert!(!first.is_empty());
    assert_eq!(first, run());
}

#[test]
fn a_trace_is_replayed_and_a_truncated_one_is_named_after_what_was_read() {
    let trace = concat!(env!("CARGO_MANIFEST_DIR"), "/../../traces/linux61-4cpu-threads.sdt");
    shootdown(&["replay", trace, "--policy", "shootdown", "--policy", "linux-x86-6.1"])
        .assert()
        .code(0)
        .stdout(contains("shootdown").and(contains("linux-x86-6.1")).and(contains("2,427 turned")));
    let text = printed(&["replay", trace]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let row = text.lines().find(|line| line.starts_with("linux-x86-6.1 ")).expect("its row");
    assert_eq!(row.split_whitespace().count(), 9, "columns that run into each other: {row}");
    refused(&["replay", trace, "--policy", "redx"], &["\"redx\"", "did you mean: redox"]);
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("cut.sdt");
    let mut bytes = std::fs::read(trace).expect("the trace");
    bytes.truncate(90_000);
    std::fs::write(&path, &bytes).expect("a file");
    let cut = path.to_str().expect("a name in UTF-8");
    shootdown(&["replay", cut, "--policy", "shootdown"])
        .assert()
        .code(2)
        .stdout(contains("IPIs"))
        .stderr(contains("cut.sdt").and(contains("byte 90000")).and(contains("record-import")));
    bytes[8] = 7;
    std::fs::write(&path, &bytes).expect("a file");
    refused(&["replay", cut], &["version 7", "record-import"]);
}

#[test]
fn a_machine_that_cannot_be_booted_is_refused() {
    refused(&["boot", "--arch", "riscv"], &["\"riscv\"", "did you mean: riscv64"]);
    refused(&["boot"], &["--arch x86_64", "--all"]);
    refused(&["boot", "--arch", "x86_64", "--cpus", "0"], &["0 CPUs", "--cpus 1 to 255"]);
    refused(&["boot", "--arch", "x86_64", "--cpus", "256"], &["256 CPUs", "--cpus 1 to 255", "x2APIC"]);
    refused(&["boot", "--arch", "x86_64", "--scenario", "sqpol"], &["\"sqpol\"", "sqpoll"]);
    refused(&["boot", "--arch", "x86_64", "--break", "SD-99"], &["\"SD-99\"", "INVARIANTS.md"]);
    refused(&["boot", "--all", "--cpus", "256"], &["riscv64 with 256 CPUs"]);
    refused(&["boot", "--count", "--cpus", "2"], &["--cpus 4"]);
}

#[test]
fn a_missing_qemu_is_named_with_the_command_that_installs_it() {
    let nothing = tempfile::tempdir().expect("a directory");
    let assert = shootdown(&["boot", "--arch", "aarch64"]).env("PATH", nothing.path()).assert();
    assert.code(2).stderr(
        contains("qemu-system-aarch64 is missing")
            .and(contains("apt-get install -y --no-install-recommends qemu-system-arm")),
    );
}
