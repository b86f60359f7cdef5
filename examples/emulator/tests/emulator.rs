//! The emulator as its user meets it: each guest's exit code and output, removed rules, and wrong calls.

use assert_cmd::Command;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_emulator");

/// Exit code, what it printed and what it complained of.
fn emulate(arguments: &[&str]) -> (Option<i32>, String, String) {
    // Longer than the program's own bound, which a machine under load may come near to.
    let output = Command::new(PROGRAM).args(arguments).timeout(Duration::from_secs(300)).output();
    let output = output.expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// What the guest printed, line by line.
fn guest_lines(output: &str) -> Vec<&str> {
    output.lines().filter_map(|line| line.strip_prefix("guest| ")).collect()
}

#[track_caller]
fn runs(guest: &str, code: i32, lines: &[&str], says: &str) {
    let (found, output, errors) = emulate(&[guest]);
    assert_eq!(found, Some(code), "{output}{errors}");
    assert_eq!(guest_lines(&output), lines, "{output}");
    assert!(output.contains(says), "{output}");
}

const COHERENT: &str = "verdict: coherent: no CPU used what was somebody else's";
const OWN_DOING: &str = "verdict: the guest failed by its own doing; no CPU used what was somebody else's";

#[test]
fn four_harts_print_in_turn() {
    let lines = ["hello from hart 0", "hello from hart 1", "hello from hart 2", "hello from hart 3"];
    runs("hello", 0, &lines, COHERENT);
}

#[test]
fn atomic_counters_lose_nothing() {
    runs("counter", 0, &["by AMO 80000, by LR/SC 80000"], COHERENT);
}

#[test]
fn a_lock_of_the_guest_holds() {
    runs("spinlock", 0, &["counted 20000 under the lock"], COHERENT);
}

#[test]
fn remote_fences_are_complete_when_they_return() {
    runs("remap", 0, &["100 rounds, and nobody read what the window had left"], COHERENT);
}

#[test]
fn a_fence_for_one_address_takes_the_rights_to_its_whole_leaf() {
    for guest in ["leaf-local", "leaf-remote"] {
        runs(guest, 0, &["every store to the leaves faulted"], COHERENT);
    }
}

#[test]
fn a_forgotten_fence_is_the_guests_own_mistake() {
    let (code, output, _) = emulate(&["stale"]);
    assert_eq!(code, Some(3), "{output}");
    assert_eq!(guest_lines(&output), ["a hart read 57005 through a translation that is gone"]);
    assert!(output.contains("guest's own: CPU "), "{output}");
    assert!(output.contains("used guest-virtual 0x40000000 as guest-physical page 0x8000"), "{output}");
    assert!(
        output.contains("fenced neither there nor from elsewhere") && output.contains(OWN_DOING),
        "{output}"
    );
}

#[test]
fn memory_that_moves_under_the_guest_stays_as_it_was_written() {
    runs("migrate", 0, &["all pages are as they were written"], COHERENT);
}

#[test]
fn programs_under_asids_of_their_own_see_their_own_pages() {
    runs("user", 0, &["each program counted to 200 in its own pages"], COHERENT);
}

#[test]
fn harts_wake_one_another() {
    runs("ipi", 0, &["interrupts: 80"], COHERENT);
}

#[test]
fn a_guest_that_faults_is_reported_and_the_host_is_sound() {
    let lines = ["trap: cause 2", "trap: cause 5", "trap: cause 4", "three traps handled"];
    runs(
        "fault",
        3,
        &lines,
        "ended: hart 0 at 0x1000: instruction access fault, value 0x1000, and the guest has no handler",
    );
    runs("fault", 3, &lines, OWN_DOING);
}

#[test]
fn a_guest_that_never_ends_is_stopped_by_either_bound() {
    let (code, output, _) = emulate(&["loop", "--steps", "100000"]);
    assert_eq!(code, Some(3), "{output}");
    assert!(output.contains("has used up its 100000 instructions (--steps)"), "{output}");
    let (code, output, _) = emulate(&["loop", "--seconds", "1", "--steps", "1000000000000"]);
    assert_eq!(code, Some(3), "{output}");
    assert!(output.contains("time is up after 1 s (--seconds)") && output.contains(OWN_DOING), "{output}");
}

#[test]
fn lies_to_the_firmware_are_refused_or_widened() {
    runs("liar", 3, &["answered as it should: 16 lies"], "instruction access fault");
}

#[test]
fn guests_run_on_any_number_of_cpus() {
    for cpus in ["1", "2", "7"] {
        for guest in ["hello", "remap", "user", "ipi"] {
            let (code, output, _) = emulate(&[guest, "--cpus", cpus]);
            assert_eq!(code, Some(0), "{guest} on {cpus}: {output}");
        }
    }
    let (code, output, _) = emulate(&["migrate", "--cpus", "3", "--no-moves"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains(" 0 pages moved"), "{output}");
}

#[test]
fn without_sd_3_a_stale_page_is_read_and_the_sanitizer_names_cpu_address_and_flush() {
    let (code, output, _) = emulate(&["migrate", "--drop-rule", "SD-3"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("engine: rule SD-3 is removed"), "{output}");
    let verdict =
        output.lines().find(|line| line.starts_with("verdict: INCOHERENT: CPU ")).expect("a verdict");
    for part in
        ["guest-virtual 0x8", "guest-physical 0x8", "for move ", "(generation ", " ended without CPU "]
    {
        assert!(verdict.contains(part), "{part}: {verdict}");
    }
}

#[test]
fn other_rules_are_missed_when_they_are_removed() {
    for rule in ["SD-1", "SD-4", "SD-5", "SD-9"] {
        let (code, output, _) = emulate(&["migrate", "--drop-rule", rule]);
        assert_eq!(code, Some(1), "{rule}: {output}");
        assert!(output.contains("verdict: INCOHERENT: ") && output.contains("watch: "), "{rule}: {output}");
    }
}

#[test]
fn fences_that_are_not_carried_out_are_noticed_by_page_and_by_right() {
    for (guest, says) in
        [("remap", "which its page tables map to 0x8"), ("leaf-remote", "do not let it write")]
    {
        let (code, output, _) = emulate(&[guest, "--skip-fences", "--no-moves"]);
        assert_eq!(code, Some(1), "{guest}: {output}");
        for part in ["verdict: INCOHERENT: CPU ", says, "for it had ended before, without CPU "] {
            assert!(output.contains(part), "{guest}: {part}: {output}");
        }
    }
}

#[test]
fn a_guest_too_short_for_a_removed_rule_says_which_is_not() {
    let (code, output, _) = emulate(&["hello", "--drop-rule", "SD-13"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("rule SD-13 is removed, and this guest did not show it; `migrate` shows"),
        "{output}"
    );
}

#[track_caller]
fn refused(arguments: &[&str], says: &[&str]) {
    let (code, output, errors) = emulate(arguments);
    assert_eq!(code, Some(2), "{output}{errors}");
    for part in says {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}

#[test]
fn wrong_calls_name_the_value_and_the_remedy() {
    refused(&[], &["<GUEST>"]);
    refused(&["hullo"], &["no guest 'hullo'", "give the path of an ELF file", "hello, counter"]);
    refused(&["hello", "--cpus", "0"], &["invalid value '0' for '--cpus <N>'", "1..=16"]);
    refused(&["hello", "--cpus", "17"], &["invalid value '17' for '--cpus <N>'", "1..=16"]);
    refused(&["hello", "--cpus", "-1"], &["-1"]);
    refused(&["hello", "--drop-rule", "SD-99"], &["invalid value 'SD-99'", "rules are SD-1 to SD-"]);
    refused(&["hello", "--steps", "0"], &["invalid value '0' for '--steps <N>'"]);
    refused(&["hello", "--seconds", "x"], &["invalid value 'x' for '--seconds <N>'"]);
}

#[test]
fn files_that_are_no_guests_are_refused_with_their_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("the folder is ours");
        path.to_str().expect("a plain path").to_owned()
    };
    refused(&[folder.path().to_str().expect("a plain path")], &["no guest", "cannot be read"]);
    let empty = write("empty.elf", b"");
    refused(&[&empty], &["empty.elf: not a 64-bit ELF file"]);
    refused(&[PROGRAM], &["not for RISC-V (243)"]);
    let hello = include_bytes!(concat!(env!("OUT_DIR"), "/hello.elf"));
    let cut = write("cut.elf", &hello[..200]);
    refused(&[&cut], &["cut.elf: "]);
    let whole = write("whole.elf", hello);
    let (code, output, _) = emulate(&[&whole]);
    assert_eq!((code, guest_lines(&output).len()), (Some(0), 4), "{output}");
}

#[test]
fn the_list_names_each_guest_and_how_it_ends() {
    let (code, output, _) = emulate(&["--list"]);
    assert_eq!(code, Some(0));
    assert!(output.lines().count() >= 11, "{output}");
    assert!(output.lines().all(|line| line.contains("exit ")), "{output}");
}
