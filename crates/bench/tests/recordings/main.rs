//! Recordings as tracers print them. Each tracer's format and any task name in it is read alike, or the line is refused
//! by its number.

mod damage;
mod refusals;
mod story;

use proptest::prelude::*;
use shootdown_bench::trace::{Entry, ImportError, ImportOptions, Imported, Reader, import};
use std::io::Cursor;
use std::num::NonZeroU64;
use story::{DIALECTS, Dialect, Step, What, story};

/// Imports text; a clock that ticks does so a million times a second.
fn read(text: &[u8]) -> Result<(Imported, Vec<u8>), ImportError> {
    let mut out = Cursor::new(Vec::new());
    let options = ImportOptions { tick_hz: NonZeroU64::new(1_000_000) };
    let found = import(text, &mut out, options, |_| ())?;
    Ok((found, out.into_inner()))
}

fn named(dialect: &str) -> &'static Dialect {
    DIALECTS.iter().find(|known| known.name == dialect).expect("a dialect of this name")
}

fn entries(trace: &[u8]) -> Vec<(u64, u16, Entry)> {
    let mut reader = Reader::new(trace).expect("what import writes can be read");
    std::iter::from_fn(|| reader.entry().expect("what import writes can be read")).collect()
}

#[test]
fn every_dialect_says_the_same() {
    let story = story(b"thr");
    let printed = |dialect: &Dialect| dialect.print(&story).concat();
    let (_, with_tgid) = read(&printed(&DIALECTS[0])).expect("tracefs text");
    let (_, without) = read(&printed(named("no record-tgid"))).expect("tracefs text");
    assert_ne!(with_tgid, without, "TGID decides something in this story");
    for dialect in &DIALECTS {
        let (found, trace) =
            read(&printed(dialect)).unwrap_or_else(|error| panic!("{}: {error}", dialect.name));
        assert_eq!(found.flushes, [4, 2, 0, 5, 2, 1], "{}", dialect.name);
        assert_eq!(found.lines, found.events.values().sum::<u64>(), "{}", dialect.name);
        assert_eq!((found.cpus, found.others), (4, 0), "{}", dialect.name);
        assert_eq!(found.span_micros, 37 * (story.steps.len() as u64 - 1), "{}", dialect.name);
        assert!(
            trace == if dialect.tgid { &with_tgid[..] } else { &without[..] },
            "{}: {found:?}",
            dialect.name
        );
    }
}

#[test]
fn dialects_are_told_apart() {
    let story = story(b"thr");
    for (dialect, expected) in [
        ("tracefs", "tracefs text (TGID, irq-info, microseconds)"),
        ("no irq-info, no record-tgid", "tracefs text (no TGID, no irq-info, microseconds)"),
        ("x86-tsc", "tracefs text (TGID, irq-info, ticks)"),
        ("latency-format", "tracefs text (no TGID, latency format, microseconds since the first event)"),
        ("trace-cmd 3.1 with plugins", "trace-cmd report (no TGID, no irq-info, microseconds)"),
        ("trace-cmd -t", "trace-cmd report (no TGID, irq-info, nanoseconds)"),
        ("perf -F +pid", "perf script (TGID, microseconds)"),
    ] {
        let (found, _) = read(&named(dialect).print(&story).concat()).expect(dialect);
        assert_eq!(found.dialect, expected);
    }
}

#[test]
fn the_thread_group_says_who_shares_a_space() {
    let story = story(b"thr");
    // The shell, its child before exec, and the program; without TGID a thread whose parent has just flushed all is taken for
    // a process.
    for (dialect, spaces, by_tgid) in
        [("tracefs", 3, 3), ("perf -F +pid", 3, 3), ("perf", 5, 0), ("trace-cmd", 5, 0)]
    {
        let (found, _) = read(&named(dialect).print(&story).concat()).expect(dialect);
        assert_eq!((found.spaces, found.forks_by_tgid), (spaces, by_tgid), "{dialect}");
        assert_eq!(found.forks_by_tgid + found.forks_inferred, 3, "{dialect}");
    }
}

#[test]
fn threads_that_were_there_before_the_recording_share_the_space_of_their_group() {
    let mut story = story(b"thr");
    story.steps.retain(|step| !matches!(step.what, What::Fork(_) | What::Exec | What::Exit));
    let (found, trace) = read(&DIALECTS[0].print(&story).concat()).expect("tracefs text");
    assert_eq!(found.spaces, 2, "the shell and the program");
    let flushed: Vec<u32> = entries(&trace)
        .iter()
        .filter_map(|(_, _, entry)| if let Entry::Flush { space, .. } = entry { Some(*space) } else { None })
        .collect();
    assert_eq!(flushed, [0, 1, 1, 1, 1]);
}

#[test]
fn a_processor_of_a_large_number_is_read() {
    let mut story = story(b"a-b c");
    story.steps.iter_mut().filter(|step| step.cpu == 3).for_each(|step| step.cpu = 1000);
    for dialect in &DIALECTS {
        let (found, _) = read(&dialect.print(&story).concat()).expect(dialect.name);
        assert_eq!(found.cpus, 1001, "{}", dialect.name);
    }
}

#[test]
fn lines_that_are_something_else_are_counted_by_kind() {
    let story = story(b"thr");
    let mut lines = DIALECTS[0].print(&story);
    lines.splice(
        0..0,
        [
            b"# tracer: nop\n".to_vec(),
            b"#\n".to_vec(),
            b"# entries-in-buffer/entries-written: 30/42   #P:4\n".to_vec(),
            b"\n".to_vec(),
            b"##### CPU 2 buffer started ####\n".to_vec(),
        ],
    );
    let other = |body: &str| {
        format!("             thr-12      (     12) [001] .....     5.004000: {body}\n").into_bytes()
    };
    lines.extend([
        other("sys_munmap -> 0x0"),
        other("irq_handler_exit: irq=16 ret=handled"),
        other("schedule <-worker_thread"),
        other("<stack trace>"),
        b" => flush_tlb_mm_range\n".to_vec(),
        b"CPU:2 [LOST 2 EVENTS]\n".to_vec(),
        b"CPU:2 [LOST EVENTS]\n".to_vec(),
        b"[   12.345678] usb 1-1: new device\n".to_vec(),
    ]);
    let (found, _) = read(&lines.concat()).expect("tracefs text");
    assert_eq!((found.comments, found.blank, found.others, found.frames, found.log_lines), (4, 1, 4, 1, 1));
    assert_eq!((found.lost, found.lost_unknown, found.lost_lines, found.overwritten), (2, 1, 2, 12));
    let kinds =
        found.comments + found.blank + found.others + found.frames + found.log_lines + found.lost_lines;
    assert_eq!(found.lines, kinds + found.events.values().sum::<u64>());
}

#[test]
fn what_perf_and_trace_cmd_say_about_loss_is_counted() {
    let story = story(b"thr");
    let mut lines = named("perf").print(&story);
    lines.push(b"         swapper     0 [000]     6.000000: PERF_RECORD_LOST lost 1\n".to_vec());
    lines.push(b"Processed 3 events and lost 1 chunks!\n".to_vec());
    lines.push(b"     ffffffff81068fa5 native_flush_tlb_multi+0x5 ([kernel.kallsyms])\n".to_vec());
    let (found, _) = read(&lines.concat()).expect("perf's text");
    assert_eq!((found.lost, found.lost_unknown, found.frames), (1, 1, 1));
    let mut lines = named("trace-cmd").print(&story);
    lines.insert(0, b"cpus=4\n".to_vec());
    lines.insert(1, b"CPU 3 is empty\n".to_vec());
    lines.insert(2, b"CPU:1 [3 EVENTS DROPPED]\n".to_vec());
    let (found, _) = read(&lines.concat()).expect("trace-cmd's text");
    assert_eq!((found.lost, found.notes), (3, 2));
}

#[test]
fn a_task_that_perf_has_forgotten_still_switches() {
    let mut lines = named("perf").print(&story(b"thr"));
    let last = b"             :-1    -1 [001]     5.001300:          sched:sched_switch: prev_comm=thr prev_pid=1234567 \
                 prev_prio=120 prev_state=X ==> next_comm=swapper/1 next_pid=0 next_prio=120\n";
    lines.push(last.to_vec());
    let (found, trace) = read(&lines.concat()).expect("perf's text");
    assert_eq!(found.events["sched_switch"], 7);
    assert_eq!(entries(&trace).last(), Some(&(5_001_300, 1, Entry::Idle)));
}

/// Names of at most 15 bytes that look like what stands around them.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        " [2]",
        "[002]",
        "-1",
        " 9 ",
        "next_pid=9",
        "(udev-worker)",
        "==>",
        ": ",
        ":",
        " ==> ",
        "tlb_flush:",
        "5.000001: ",
        "1us: ",
        "#",
        "d..2.",
        " next_prio=1",
        " prev_state=R",
        "[120] S ==> x:9",
        " pid=3",
        "sys_munmap(",
        "=> ",
        "\u{e9}",
        " child_comm=",
        " child_pid=7",
        "(-------)",
        "-12 [001] 5: x:",
        "9 [001] 5.0: x",
        "[   1.000000] ",
        "\t",
    ];
    let piece = prop_oneof![
        3 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(prop_oneof![1_u8..10, 11_u8..=255], 1..4),
    ];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| {
        let mut name = pieces.concat();
        name.truncate(15);
        name
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn names_may_hold_anything(name in hostile(), at in 0..DIALECTS.len()) {
        let dialect = &DIALECTS[at];
        let (_, plain) = read(&dialect.print(&story(b"thr")).concat()).expect(dialect.name);
        let text = dialect.print(&story(&name)).concat();
        match read(&text) {
            Ok((_, trace)) => prop_assert_eq!(trace, plain, "{}", dialect.name),
            Err(error) => prop_assert!(false, "{}: {}", dialect.name, error),
        }
    }
}

#[test]
fn lines_that_have_lost_their_leading_spaces_are_read() {
    for dialect in DIALECTS.iter().filter(|dialect| dialect.prefix.is_empty()) {
        let lines = dialect.print(&story(b"a b"));
        let (_, whole) = read(&lines.concat()).expect(dialect.name);
        let trimmed: Vec<Vec<u8>> = lines.iter().map(|line| line.trim_ascii_start().to_vec()).collect();
        assert_eq!(read(&trimmed.concat()).expect(dialect.name).1, whole, "{}", dialect.name);
    }
}

/// The steps of a story, for tests that change one.
fn steps(of: impl Fn(&Step) -> bool) -> Vec<usize> {
    story(b"thr").steps.iter().enumerate().filter(|(_, step)| of(step)).map(|(at, _)| at).collect()
}
