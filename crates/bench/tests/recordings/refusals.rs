//! Refusals, and what they say.

use super::story::{DIALECTS, What, story};
use super::{named, read, steps};
use shootdown_bench::trace::{ImportError, ImportOptions, import};
use std::io::{self, BufReader, Cursor, Read};

/// Demands that text is refused at `line`, with each of `said` in what is printed.
fn refused_at(text: &[u8], line: u64, said: &[&str]) {
    let error = read(text).expect_err("refused");
    let printed = format!("{error}\n{}", error.remedy());
    assert!(
        matches!(error, ImportError::Line { line: at, .. } if at == line),
        "line {line} expected: {printed}"
    );
    said.iter().for_each(|part| assert!(printed.contains(part), "{part:?} expected: {printed}"));
}

/// Demands that text is refused as a whole.
fn refused(text: &[u8], said: &[&str]) {
    let error = read(text).expect_err("refused");
    let printed = format!("{error}\n{}", error.remedy());
    assert!(matches!(error, ImportError::Recording { .. }), "{printed}");
    said.iter().for_each(|part| assert!(printed.contains(part), "{part:?} expected: {printed}"));
}

/// The story in tracefs text, with `from` replaced by `to` in the first line that has it; and that line's number.
fn changed(dialect: &str, from: &str, to: &str) -> (Vec<u8>, u64) {
    let mut lines = named(dialect).print(&story(b"thr"));
    for (at, line) in lines.iter_mut().enumerate() {
        let text = String::from_utf8(line.clone()).expect("plain names");
        if text.contains(from) {
            *line = text.replacen(from, to, 1).into_bytes();
            return (lines.concat(), at as u64 + 1);
        }
    }
    panic!("{dialect}: no line has {from:?}");
}

#[test]
fn a_field_that_is_not_known_is_refused_by_line_and_name() {
    for (dialect, from, to, said) in [
        ("tracefs", "pages:-1 reason", "pages:-1 level:2 reason", ["tlb_flush: reason", "level:2"]),
        ("tracefs", "pages:-1", "pages:some", ["tlb_flush: pages", "\"some reason"]),
        ("tracefs", "pages:3", "pages:99999999999", ["tlb_flush: pages", "99999999999"]),
        ("tracefs", "flush on task switch (0)", "flush on task switch (9)", ["tlb_flush: reason", "(9)"]),
        (
            "tracefs",
            "remote shootdown (1)",
            "remote shootdown (3)",
            ["tlb_flush: reason", "remote shootdown (3)"],
        ),
        (
            "tracefs",
            "local mm shootdown (3)",
            "local shootdown (2)",
            ["tlb_flush: reason", "local shootdown (2)"],
        ),
        ("tracefs", "next_prio=-5", "next_prio=-5 next_cpu=3", ["sched_switch: next_prio", "next_cpu=3"]),
        ("tracefs", " prev_state=R+", "", ["sched_switch: prev_state", "from \"==> next_comm"]),
        ("tracefs", "child_pid=1234567", "child_pid=x", ["sched_process_fork: child_pid", "\"x\""]),
        (
            "tracefs",
            "pid=1234569 prio=120",
            "pid=1234569 prio=120 code=9",
            ["sched_process_exit: group_dead", "code=9"],
        ),
        ("tracefs", "sys_munmap(addr", "sys_munmap(start", ["sys_enter_munmap: addr", "start: "]),
        ("tracefs", "len: 3000)", "len: 3000, flags: 1)", ["sys_enter_munmap: len", "flags: 1"]),
        ("tracefs", "len: 3000)", "len: 30", ["sys_enter_munmap: the end of the arguments", "len: 30"]),
        ("trace-cmd 3.1 with plugins", "[120] S ==>", "[120] ==>", ["sched_switch: prev_comm", "==>"]),
        ("trace-cmd", "len: 0x00003000", "length: 0x3000", ["sys_enter_munmap: len", "length"]),
        (
            "perf",
            "reason:remote shootdown (1)",
            "reason:remote shootdown",
            ["tlb_flush: reason", "remote shootdown"],
        ),
    ] {
        let (text, line) = changed(dialect, from, to);
        refused_at(&text, line, &said);
    }
}

#[test]
fn a_line_that_the_dialect_does_not_explain_is_refused() {
    for dialect in &DIALECTS {
        let mut lines = dialect.print(&story(b"thr"));
        lines.insert(7, b"what is this\n".to_vec());
        refused_at(&lines.concat(), 8, &["not laid out as line 1 is", "\"what is this\""]);
    }
    refused_at(b"what is this\n", 1, &["no line that tracefs", "\"what is this\""]);
    // An event in the middle of the kernel log's words is damaged, and no other line of the log.
    let (mut text, _) = changed("kernel log", "pages:3", "pages:3");
    text.extend(b"[  123.456789] thr tlb_flush: pages:1 reason:remote ipi send (4)\n");
    refused_at(&text, 31, &["not laid out as line 1 is"]);
}

#[test]
fn two_ways_of_printing_in_one_file_are_refused() {
    let story = story(b"thr");
    for (other, said) in [
        ("no irq-info", "no irq-info, microseconds, where line 1 has TGID, irq-info, microseconds"),
        ("no record-tgid", "the line has no TGID"),
        ("trace-cmd", "no TGID"),
        ("perf", "not laid out as line 1 is"),
    ] {
        let mut lines = named("tracefs").print(&story);
        lines[20] = named(other).line(&story, &story.steps[20]);
        refused_at(&lines.concat(), 21, &[said]);
    }
    let mut lines = named("no record-tgid").print(&story);
    lines[20] = named("trace-cmd").line(&story, &story.steps[20]);
    refused_at(&lines.concat(), 21, &["printed otherwise than those from line 1 on"]);
    let (text, line) = changed("tracefs", "tlb_flush: pages:3", "tlb_flush:  pages:3");
    refused_at(&text, line, &["printed otherwise"]);
}

#[test]
fn events_without_context_are_refused_with_the_option_that_prints_it() {
    refused_at(
        b"# tracer: nop\ntlb_flush: pages:1 reason:remote ipi send (4)\n",
        2,
        &["context-info", "pages:1"],
    );
    refused_at(b"sys_munmap(addr: 7f0000000000, len: 2000)\n", 1, &["echo 1 > options/context-info"]);
}

#[test]
fn text_in_utf_16_is_refused_and_a_mark_before_utf_8_is_not() {
    let text = named("tracefs").print(&story(b"thr")).concat();
    let marked = [b"\xef\xbb\xbf", text.as_slice()].concat();
    assert_eq!(read(&marked).map(|(_, trace)| trace).ok(), read(&text).map(|(_, trace)| trace).ok());
    for mark in [[0xff, 0xfe], [0xfe, 0xff]] {
        refused_at(&[&mark, text.as_slice()].concat(), 1, &["UTF-16", "iconv"]);
    }
}

#[test]
fn ticks_want_their_frequency() {
    let text = named("x86-tsc").print(&story(b"thr")).concat();
    let error =
        import(&text[..], Cursor::new(Vec::new()), ImportOptions::default(), |_| ()).expect_err("refused");
    let printed = format!("{error} {}", error.remedy());
    assert!(
        printed.contains("line 1: the time 5000123 counts ticks") && printed.contains("--tick-hz"),
        "{printed}"
    );
}

#[test]
fn a_cpu_past_the_limit_is_refused_with_the_limit() {
    for number in ["4096", "70000"] {
        let (text, line) = changed("tracefs", "[002]", &format!("[{number}]"));
        refused_at(
            &text,
            line,
            &[&format!("CPU {number}"), "at most 4096 CPUs, 0 to 4095", "tracing_cpumask"],
        );
    }
}

#[test]
fn time_that_goes_back_is_refused_and_a_little_between_cpus_is_said() {
    let mut story = story(b"thr");
    story.steps[10].micros -= 9_000;
    let (found, _) = read(&DIALECTS[0].print(&story).concat()).expect("CPU 2 is late by 9 ms");
    assert_eq!((found.late_lines, found.latest_by), (1, 9_000 - 37));
    story.steps[10].micros -= 2_000;
    refused_at(
        &DIALECTS[0].print(&story).concat(),
        11,
        &["time goes back from 5.000456 s to 4.989493 s", "order of time"],
    );
    // One CPU never lies behind itself.
    let mut story = super::story(b"thr");
    story.steps[18].micros = story.steps[17].micros - 1;
    refused_at(&DIALECTS[0].print(&story).concat(), 19, &["time goes back"]);
}

#[test]
fn files_of_one_cpu_each_are_refused_one_after_the_other() {
    let mut story = story(b"thr");
    for (at, step) in story.steps.iter_mut().enumerate() {
        step.micros = 5_000_000 + 1_000 * at as u64;
    }
    story.steps.sort_by_key(|step| step.cpu);
    let first = story.steps.iter().rposition(|step| step.cpu == 1).expect("CPU 1") as u64;
    refused_at(
        &DIALECTS[0].print(&story).concat(),
        first + 2,
        &["time goes back", "merge files of one CPU each"],
    );
}

#[test]
fn a_time_that_no_machine_lives_to_see_is_refused() {
    let (text, line) = changed("tracefs", "    5.000160", "9999999999.000160");
    refused_at(&text, line, &["past 142 years"]);
}

#[test]
fn recordings_without_the_events_that_matter_are_refused() {
    let without = |dialect: &str, unwanted: &dyn Fn(&What) -> bool| {
        let mut story = story(b"thr");
        story.steps.retain(|step| !unwanted(&step.what));
        named(dialect).print(&story).concat()
    };
    for dialect in ["tracefs", "trace-cmd", "perf"] {
        let text = without(dialect, &|what| matches!(what, What::Flush(..)));
        refused(&text, &["lines is a tlb_flush", "only kernels for x86"]);
        let text = without(dialect, &|what| matches!(what, What::Switch(_)));
        refused(&text, &["lines is a sched_switch", "enable event sched/sched_switch"]);
    }
    refused(b"", &["none of its 0 lines is an event"]);
    refused(b"# tracer: nop\n#\n\n", &["none of its 3 lines is an event"]);
}

#[test]
fn a_recording_that_lost_a_tenth_of_its_events_is_refused() {
    let events = story(b"thr").steps.len() as u64;
    let lost = |count: u64| {
        let mut lines = DIALECTS[0].print(&story(b"thr"));
        lines.insert(4, format!("CPU:1 [LOST {count} EVENTS]\n").into_bytes());
        lines.concat()
    };
    assert_eq!(read(&lost(events / 10)).expect("few").0.lost, events / 10);
    refused(&lost(events / 10 + 1), &["4 events were lost beside 30", "buffer_size_kb"]);
    refused(&lost(u64::MAX), &["18446744073709551615 events were lost"]);
}

#[test]
fn files_that_are_no_text_are_named() {
    for (start, said) in [
        (&b"SDTRACE\0\x02\0"[..], "shootdown replay"),
        (b"\x17\x08\x44tracing7\0", "trace-cmd report"),
        (b"PERFILE2", "perf script"),
        (b"\xfd7zXZ\0\0\x04", "xz -d"),
        (b"\x1f\x8b\x08", "gzip -d"),
    ] {
        refused(start, &[said]);
    }
    refused_at(&[0, 1, 2, 255, b'\n'], 1, &["no line that tracefs", r"\0"]);
}

/// A source that never ends and counts what is read of it.
struct Endless(u8, u64);

impl Read for Endless {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        bytes.fill(self.0);
        self.1 += bytes.len() as u64;
        Ok(bytes.len())
    }
}

#[test]
fn lines_without_end_are_given_up() {
    for byte in [0, b'a', b' ', b'#', 0xff] {
        let mut source = Endless(byte, 0);
        let out = Cursor::new(Vec::new());
        let error =
            import(BufReader::new(&mut source), out, ImportOptions::default(), |_| ()).expect_err("refused");
        assert!(error.to_string().starts_with("line 1: longer than 65536 bytes"), "{error}");
        assert!(source.1 < 1 << 18, "{} bytes were read", source.1);
    }
}

#[test]
fn a_long_line_costs_time_in_proportion() {
    // Every place of it might begin something. With the square of its length in time this test would not end.
    for piece in ["-1 ", " ==> ", " child_comm=", "sys_mun", "[   1.000000] ", "pid=1 "] {
        let mut lines = DIALECTS[0].print(&story(b"thr"));
        let switch = steps(|step| matches!(step.what, What::Switch(_)))[0];
        let long = piece.repeat(60_000 / piece.len());
        let line = String::from_utf8(lines[switch].clone()).expect("plain names");
        let odd = line.replace("next_comm=thr", &format!("next_comm={long}"));
        lines.splice(switch..=switch, std::iter::repeat_n(odd.into_bytes(), 20));
        let (found, _) = read(&lines.concat()).expect("a name may hold anything");
        assert_eq!(found.events["sched_switch"], 25, "{piece}");
        lines.truncate(switch);
        lines.extend(std::iter::repeat_n(format!("[   12.345678] {long}\n").into_bytes(), 20));
        assert!(read(&lines.concat()).is_err(), "no switch is left: {piece}");
    }
}
