//! `record-import` and `replay`: what is printed, what is refused, and that nothing is lost then.

use crate::{refused, shootdown, text};
use predicates::prelude::*;
use predicates::str::contains;
use shootdown_bench::trace::{Entry, Seen, Writer};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Of one space on two CPUs.
pub const RECORDING: &str = "\
# tracer: nop
# entries-in-buffer/entries-written: 8/11   #P:4
             srv-71      (     71) [000] ...1.     1.000001: sys_munmap(addr: 7f0000000000, len: 2000)
             srv-71      (     71) [000] d..2.     1.000002: sched_process_fork: comm=srv pid=71 child_comm=srv child_pid=72
          <idle>-0       (-------) [001] d..2.     1.000003: sched_switch: prev_comm=swapper/1 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=srv next_pid=72 next_prio=120
             srv-72      (     71) [001] ...1.     1.000004: sys_munmap(addr: 7f0000002000, len: 2000)
             srv-71      (     71) [000] d..1.     1.000005: tlb_flush: pages:2 reason:remote ipi send (4)
             srv-71      (     71) [000] d..1.     1.000006: tlb_flush: pages:2 reason:local mm shootdown (3)
             srv-72      (     71) [001] d.h1.     1.000007: tlb_flush: pages:2 reason:remote shootdown (1)
             srv-72      (     71) [001] .....     1.000008: irq_handler_exit: irq=16 ret=handled
CPU:1 [LOST EVENTS]
";

/// A folder with the recording in it.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("work.txt");
    fs::write(&path, RECORDING).expect("a file");
    (folder, path)
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut out).expect("memory");
    for (at, entry) in entries.iter().enumerate() {
        writer.add(at as u64, 0, *entry).expect("memory");
    }
    writer.finish(1).expect("memory");
    out.into_inner()
}

#[test]
fn an_import_says_what_it_read() {
    let (folder, path) = folder();
    let mut assert = shootdown(&["record-import", text(&path)]).assert().code(0);
    for said in [
        "work.txt.sdt: 2 CPUs, 1 space, ",
        "tracefs text (TGID, irq-info, microseconds)",
        "0.000007 s",
        "3 tlb_flush",
        "1 of other events",
        "2 of comment",
        "11 in all",
        "1 turned to other CPUs",
        "an unknown number of events lost",
        "the file lacks 3 events",
    ] {
        assert = assert.stdout(contains(said));
    }
    assert_eq!(names(folder.path()), ["work.txt", "work.txt.sdt"]);
    let trace = folder.path().join("work.txt.sdt");
    shootdown(&["replay", text(&trace), "--policy", "shootdown"])
        .assert()
        .code(0)
        .stdout(contains("Flushes: 1 turned"));
}

#[test]
fn a_refused_recording_leaves_every_file_as_it_was() {
    let (folder, path) = folder();
    let damaged = RECORDING.replace("(1)", "(7)");
    fs::write(&path, &damaged).expect("a file");
    let out = folder.path().join("mine.sdt");
    fs::write(&out, "mine").expect("a file");
    refused(
        &["record-import", text(&path), "--out", text(&out)],
        &["work.txt: line 9: tlb_flush: reason", "remote shootdown (7)", "print it again"],
    );
    assert_eq!(fs::read_to_string(&out).expect("it"), "mine");
    assert_eq!(fs::read_to_string(&path).expect("it"), damaged);
    assert_eq!(names(folder.path()), ["mine.sdt", "work.txt"]);
    fs::write(&path, RECORDING).expect("a file");
    shootdown(&["record-import", text(&path), "--out", text(&out)]).assert().code(0);
    assert!(fs::read(&out).expect("it").starts_with(b"SDTRACE\0"), "an accepted one takes its place");
}

#[test]
fn the_recording_is_never_written_over() {
    let (folder, path) = folder();
    let dotted = folder.path().join(".").join("work.txt");
    let hard = folder.path().join("hard.txt");
    fs::hard_link(&path, &hard).expect("a link");
    let mut others = vec![path.clone(), dotted];
    #[cfg(unix)]
    {
        let soft = folder.path().join("soft.txt");
        std::os::unix::fs::symlink(&path, &soft).expect("a link");
        others.extend([soft, hard]);
    }
    for other in others {
        refused(
            &["record-import", text(&path), "--out", text(&other)],
            &["is the recording itself", "--out"],
        );
        refused(&["record-import", text(&other), "--out", text(&path)], &["is the recording itself"]);
    }
    assert_eq!(fs::read_to_string(&path).expect("it"), RECORDING);
}

#[test]
fn what_is_no_file_is_not_replaced() {
    let (folder, path) = folder();
    refused(&["record-import", text(&path), "--out", text(folder.path())], &["is there and is no file"]);
    refused(&["record-import", text(folder.path())], &["cannot read"]);
    let nowhere = folder.path().join("no/such/folder.sdt");
    refused(&["record-import", text(&path), "--out", text(&nowhere)], &["cannot write", "give a path"]);
    #[cfg(unix)]
    refused(&["record-import", text(&path), "--out", "/dev/null"], &["/dev/null is there and is no file"]);
}

#[cfg(unix)]
#[test]
fn a_trace_has_the_permissions_of_a_new_file_and_replaces_what_a_link_names() {
    use std::os::unix::fs::MetadataExt;
    let (folder, path) = folder();
    let (plain, link) = (folder.path().join("plain"), folder.path().join("link"));
    fs::write(&plain, "old").expect("a file");
    std::os::unix::fs::symlink(&plain, &link).expect("a link");
    let mode = fs::metadata(&plain).expect("it").mode();
    shootdown(&["record-import", text(&path), "--out", text(&link)]).assert().code(0);
    assert!(fs::symlink_metadata(&link).expect("it").is_symlink());
    assert!(fs::read(&plain).expect("it").starts_with(b"SDTRACE\0"));
    assert_eq!(fs::metadata(&plain).expect("it").mode(), mode);
}

#[test]
fn a_recording_comes_from_standard_input_too() {
    let folder = tempfile::tempdir().expect("a directory");
    let out = folder.path().join("piped.sdt");
    let run = |arguments: &[&str]| shootdown(arguments).write_stdin(RECORDING).assert();
    run(&["record-import", "-"]).code(2).stderr(contains("no name").and(contains("--out")));
    run(&["record-import", "-", "--out", text(&out)]).code(0).stdout(contains("piped.sdt: 2 CPUs"));
}

#[test]
fn ticks_want_a_frequency_above_nothing_and_seconds_want_none() {
    let (folder, path) = folder();
    refused(&["record-import", text(&path), "--tick-hz", "9"], &["--tick-hz changes nothing", "are seconds"]);
    assert_eq!(names(folder.path()), ["work.txt"]);
    fs::write(&path, RECORDING.replace("  1.00000", "  100000")).expect("a file");
    refused(&["record-import", text(&path)], &["line 3: the time 1000001 counts ticks", "--tick-hz"]);
    refused(&["record-import", text(&path), "--tick-hz", "0"], &["'0'", "--tick-hz"]);
    shootdown(&["record-import", text(&path), "--tick-hz", "1000000"])
        .assert()
        .code(0)
        .stdout(contains("0.000007 s"));
}

#[test]
fn a_trace_without_a_flush_is_not_replayed() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("idle.sdt");
    fs::write(&path, written(&[Entry::Create(0), Entry::Run(0), Entry::Idle])).expect("a file");
    refused(&["replay", text(&path)], &["idle.sdt: the trace has no flush", "tlb_flush"]);
}

#[test]
fn a_trace_comes_from_standard_input_and_ends_where_it_ends() {
    let flush = Entry::Flush { pages: 1, tables: false, space: 0 };
    let trace = written(&[Entry::Create(0), Entry::Run(0), Entry::Seen(Seen::WrongCpu), flush]);
    let run = |bytes: Vec<u8>| {
        let policies = ["--policy", "shootdown", "--policy", "redox"];
        shootdown(&["replay", "-"]).args(policies).write_stdin(bytes).assert()
    };
    let whole = run(trace.clone()).code(0);
    whole.stdout(contains("shootdown").and(contains("redox")).and(contains("1 CPU called")));
    let end = trace.len();
    run([&trace[..], b"x"].concat()).code(2).stderr(contains(format!("byte {end}: bytes after the end")));
    run(trace[..end - 9].to_vec()).code(2).stderr(contains(format!("the file ends at byte {}", end - 9)));
}

#[cfg(unix)]
#[test]
fn input_without_end_is_given_up() {
    refused(&["replay", "/dev/zero"], &["/dev/zero is neither a list of moves nor a trace", "record-import"]);
    refused(&["record-import", "/dev/zero", "--out", "never.sdt"], &["line 1: longer than 65536 bytes"]);
    assert!(!Path::new("never.sdt").exists());
}

#[test]
fn a_recording_is_no_trace_yet() {
    let (folder, path) = folder();
    fs::write(&path, RECORDING.repeat(9)).expect("a file");
    refused(&["replay", text(&path)], &["neither a list of moves nor a trace", "record-import FILE"]);
    let packed = folder.path().join("trace.dat");
    fs::write(&packed, b"\x17\x08\x44tracing7\0").expect("a file");
    refused(&["record-import", text(&packed)], &["trace-cmd's trace.dat", "trace-cmd report"]);
}
