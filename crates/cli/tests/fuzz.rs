//! Files that the command reads: whatever stands in them, they are read or refused, and never a panic.

#[path = "../../shootdown/tests/fuzz/bytes.rs"]
mod bytes;

use bolero::check;
use bytes::Bytes;
use shootdown_bench::policy::PolicyKind;
use shootdown_bench::trace::{Entry, ImportOptions, Reader, Seen, Writer, import, replay};
use shootdown_cli::fuzzing;
use std::io::Cursor;
use std::num::NonZeroU64;

/// Makes of `bytes` a text that resembles one of `seeds`: a seed with pieces taken out, repeated, and put in from
/// `words` or from `bytes` themselves.
fn resemble(bytes: &[u8], seeds: &[&str], words: &[&str]) -> Vec<u8> {
    let mut bytes = Bytes::new(bytes);
    let mut text = seeds[bytes.below(seeds.len() as u64) as usize].as_bytes().to_vec();
    while !bytes.is_empty() {
        let at = bytes.below(text.len() as u64 + 1) as usize;
        let end = (at + bytes.below(24) as usize).min(text.len());
        match bytes.byte() % 6 {
            0 => drop(text.drain(at..end)),
            1 => {
                let piece = text[at..end].to_vec();
                text.splice(at..at, piece);
            }
            2 => {
                let word = words[bytes.below(words.len() as u64) as usize];
                text.splice(at..end, word.bytes());
            }
            3 => {
                let number = bytes.number().to_string();
                text.splice(at..end, number.bytes());
            }
            4 => {
                // Lines change places.
                let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
                let (one, two) = (bytes.below(lines.len() as u64), bytes.below(lines.len() as u64));
                lines.swap(one as usize, two as usize);
                text = lines.join(&b'\n');
            }
            _ => {
                let byte = bytes.byte();
                text.insert(at, byte);
            }
        }
        if text.len() > 1 << 14 {
            break;
        }
    }
    text
}

/// Reads a trace to its end or to its first fault.
fn read(bytes: &[u8]) -> u64 {
    let Ok(mut reader) = Reader::new(bytes) else { return 0 };
    let mut entries = 0;
    while let Ok(Some(_)) = reader.entry() {
        entries += 1;
        assert!(reader.offset() <= bytes.len() as u64);
    }
    entries
}

/// Reads and runs a trace under a real policy and a modelled one.
fn run(bytes: &[u8]) {
    for kind in [PolicyKind::Shootdown, PolicyKind::LinuxX86, PolicyKind::LinuxArm64] {
        if let Ok(reader) = Reader::new(bytes) {
            let replayed = replay(kind, reader, true, |_| ());
            assert!(replayed.recorded.entries <= bytes.len() as u64);
        }
    }
}

/// Entries of any numbers, written as a trace, come back as they were, and can be run or are refused.
fn entries(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file).expect("memory");
    let cpus = 1 + bytes.byte() % 8;
    let mut expected = Vec::new();
    let mut now = 0_u64;
    while !bytes.is_empty() && expected.len() < 200 {
        let cpu = u16::from(bytes.byte() % cpus);
        let space = if bytes.byte() & 7 == 0 { bytes.number() as u32 } else { bytes.below(6) as u32 };
        let entry = match bytes.byte() % 9 {
            0 | 1 => Entry::Create(space),
            2 | 3 => Entry::Run(space),
            4 => Entry::Kernel,
            5 => Entry::Idle,
            6 => Entry::Flush { pages: bytes.number() as u32, tables: bytes.byte() & 1 == 0, space },
            7 => Entry::Exit(space),
            _ => Entry::Seen(Seen::RemoteSend),
        };
        now = now.saturating_add(bytes.number());
        writer.add(now, cpu, entry).expect("memory");
        expected.push((now, cpu, entry));
    }
    writer.finish(cpus.into()).expect("memory");
    let file = file.into_inner();
    let mut reader = Reader::new(&file[..]).expect("it was just written");
    for expected in expected {
        match reader.entry() {
            Ok(entry) => assert_eq!(entry, Some(expected)),
            // A time that no machine lives to see.
            Err(_) => break,
        }
    }
    run(&file);
}

/// A trace with a payload of any bytes, whose checksum is right.
fn payload(input: &[u8]) {
    run(input);
    read(input);
    let mut file = b"SDTRACE\0\x01\0\x04\0\0\0\0\0".to_vec();
    let sum =
        input.iter().fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    file.extend((input.len() as u32).to_le_bytes());
    file.extend(sum.to_le_bytes());
    file.extend(input);
    file.extend([0; 8]);
    read(&file);
    run(&file);
}

const FTRACE: &[&str] = &[
    "\
# tracer: nop
#           TASK-PID    TGID     CPU#  |||||  TIMESTAMP  FUNCTION
             sh-71      (     71) [000] d..1.     1.000001: tlb_flush: pages:1 reason:local mm shootdown (3)
             sh-71      (     71) [000] d..2.     1.000020: sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=R ==> next_comm=cc next_pid=72 next_prio=120
             cc-72      (     71) [001] .....     1.000030: sys_munmap(addr: 7f0000000000, len: 2000)
             cc-72      (     71) [001] d..1.     1.000040: tlb_flush: pages:-1 reason:remote shootdown (1)
             sh-71      (     71) [000] .....     1.000050: sched_process_fork: comm=sh pid=71 child_comm=sh child_pid=73
             cc-72      (     71) [001] .....     1.000060: sys_munmap -> 0x0
             sh-71      (     71) [000] .....     1.000070: sched_process_exit: comm=sh pid=71 prio=120
",
    "\
cpus=2
              sh-71    [000]     1.000001: tlb_flush:            pages=1 reason= (4)
              sh-71    [000]     1.000020: sched_switch:         sh:71 [120] S ==> cc:72 [120]
CPU:1 [2 EVENTS DROPPED]
              cc-72    [001]     1.000030: sys_enter_munmap:     addr: 0x7f0000000000, len: 0x00002000
",
    "\
              sh    71 [000]     1.000001:               tlb:tlb_flush: pages:-1 reason:remote ipi send (4)
              sh    71 [000]     1.000020:          sched:sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=R ==> next_comm=cc next_pid=72 next_prio=120
             :-1    -1 [001]     1.000030: syscalls:sys_enter_mprotect: start: 0x004b5000, len: 0x00004000, prot: 0x00000001
",
];
const FTRACE_WORDS: &[&str] = &[
    "tlb_flush:",
    "pages:",
    "reason:",
    "sched_switch:",
    "sched_process_fork:",
    "sched_process_exit:",
    "next_pid=",
    "child_pid=",
    "pid=",
    "[001]",
    "sys_munmap(",
    "sys_execve(",
    " -> 0x0",
    "18446744073709551616",
    "-1",
    "\n",
    "(",
];

/// Text that resembles ftrace's becomes a trace that reads back and runs.
fn ftrace(input: &[u8]) {
    let text = resemble(input, FTRACE, FTRACE_WORDS);
    let mut file = Cursor::new(Vec::new());
    let options = ImportOptions { tick_hz: NonZeroU64::new(1_000_000) };
    if import(&text[..], &mut file, options, |_| ()).is_ok_and(|found| found.cpus > 0) {
        let file = file.into_inner();
        let mut reader = Reader::new(&file[..]).expect("what import writes can be read");
        while reader.entry().expect("what import writes can be read").is_some() {}
        let replayed = replay(PolicyKind::Shootdown, Reader::new(&file[..]).expect("again"), false, |_| ());
        assert!(replayed.error.is_none(), "{:?}", replayed.error);
    }
}

const LISTS: &[&str] = &[
    "# shootdown replay 1\ncase seed\nmemory tso\ndrop SD-9\noutcome x\n0 run\n1 drain 2\n0 interrupt 1\n1 choose 3\n",
    "# shootdown replay 1\n\n# by hand\ncase linux-bafb056c-sparc64-trim/broken\nmemory pso\n0 run\n",
];
const LIST_WORDS: &[&str] =
    &["case", "memory", "sc", "drop", "outcome", "run", "drain", "choose", "interrupt", "#", "256", "\n"];

/// A list of moves is read, or refused by the line; what is read, and is of a quick case, replays or is refused.
fn list(input: &[u8]) {
    let text = String::from_utf8_lossy(&resemble(input, LISTS, LIST_WORDS)).into_owned();
    fuzzing::replay_list(&text);
}

const SHARDS: &[&str] = &[concat!(
    r#"{"shard":"1/1","version":"0.1.0","catalogue":"0123456789abcdef","flags":{"names":["seed"],"cpus":null,"#,
    r#""deep":false,"removed":null,"keep_going":false,"memory":null,"deadline":null,"memory_budget":null,"#,
    r#""no_reduction":false}}"#,
    "\n",
    r#"{"name":"seed","kind":"engine","variant":"shipped","memory":"tso","cpus":2,"removed":null,"#,
    r#""expected":"holds","verdict":"holds","as_expected":true,"complete":true,"states":7,"executions":3,"#,
    r#""seconds":0.1,"peak_bytes":90,"bytes_per_state":12.9,"steps":null,"message":null}"#,
    "\n",
    r#"{"end":"1/1","results":1,"interrupted":false}"#,
    "\n",
)];
const SHARD_WORDS: &[&str] = &["null", "\"1/2\"", "\"2/2\"", "{}", "[", "\"", "true", "1e999", "-1", "\n"];

/// Results of shards are merged or refused.
fn shards(input: &[u8]) {
    let text = String::from_utf8_lossy(&resemble(input, SHARDS, SHARD_WORDS)).into_owned();
    fuzzing::merge(&text);
}

const LINES: &[&str] = &[
    "check pairs linux-* --cpus 2 --deep --drop-rule SD-9 --memory pso --deadline 0.5 --memory-budget 1GiB",
    "check --shard 1/3 --workers 2 --json --json-file x --no-reduction --keep-going",
    "explain seed --state --places --svg x --drop-site ack",
    "replay x --policy redox --tags --json",
    "bench host --policy redox --workload pingpong --cpus 5 --spaces 2 --seed 1 --sharers 3",
    "boot --arch riscv64 --cpus 4 --scenario all --seconds 1 --cycles 5 --break SD-1 --host-threads each",
    "merge a b --json",
    "new-case toy-acks --dir .",
];
const LINE_WORDS: &[&str] =
    &[" ", "--", "-1", "0", "4097", "1e308", "nan", "inf", "99999999999999999999", "SD-", "/"];

/// Any command line is understood or refused, and names of cases are found or not.
fn line(input: &[u8]) {
    let text = String::from_utf8_lossy(&resemble(input, LINES, LINE_WORDS)).into_owned();
    fuzzing::command_line(text.split(' '));
}

#[test]
fn traces_of_any_entries_are_run_or_refused() {
    check!().with_iterations(0).for_each(entries);
}

#[test]
fn traces_of_any_bytes_are_run_or_refused() {
    check!().with_iterations(0).for_each(payload);
}

#[test]
fn ftrace_text_becomes_a_trace_or_nothing() {
    check!().with_iterations(0).for_each(ftrace);
}

#[test]
fn lists_of_moves_are_read_or_refused() {
    check!().with_iterations(0).for_each(list);
}

#[test]
fn results_of_shards_are_merged_or_refused() {
    check!().with_iterations(0).for_each(shards);
}

#[test]
fn command_lines_are_understood_or_refused() {
    check!().with_iterations(0).for_each(line);
}
