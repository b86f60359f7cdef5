//! The shipped traces, against what the recorded kernel itself said that it did.

use shootdown_bench::policy::PolicyKind;
use shootdown_bench::trace::{Entry, Reader, Replayed, TraceError, Writer, replay};
use std::io::Cursor;
use std::path::PathBuf;

/// Each trace, and the model of the kernel that it was recorded on.
const TRACES: [(&str, PolicyKind); 5] = [
    ("linux61-4cpu-threads.sdt", PolicyKind::LinuxX86Exact),
    ("linux61-4cpu-storm.sdt", PolicyKind::LinuxX86Exact),
    ("linux612-4cpu-threads.sdt", PolicyKind::LinuxX86Exact),
    ("linux72-4cpu-threads.sdt", PolicyKind::LinuxX86),
    ("linux72-4cpu-storm.sdt", PolicyKind::LinuxX86),
];

fn bytes(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../traces").join(name);
    std::fs::read(path).expect("a shipped trace")
}

fn replayed(bytes: &[u8], policy: PolicyKind) -> Replayed {
    replay(policy, Reader::new(bytes).expect("a trace"), false, |_| ())
}

#[test]
fn the_model_of_linux_turns_to_other_cpus_as_often_as_linux_did() {
    for (name, model) in TRACES {
        let run = replayed(&bytes(name), model);
        let (model, linux) = (run.outcome.totals.remote_flushes, run.recorded.remote_sends);
        assert!(run.error.is_none() && run.outcome.stuck == 0 && linux > 0, "{name}");
        assert!(20 * model.abs_diff(linux) <= linux, "{name}: {model} and {linux}");
    }
}

#[test]
fn every_safe_policy_gets_through_every_trace() {
    for (name, _) in TRACES {
        let bytes = bytes(name);
        for policy in PolicyKind::ALL.into_iter().filter(|policy| policy.is_safe()) {
            let run = replayed(&bytes, policy);
            let found = (run.outcome.stuck, run.outcome.totals.violations);
            assert_eq!(found, (0, 0), "{name} under {}", policy.name());
        }
        let engine = replayed(&bytes, PolicyKind::Shootdown).outcome.totals;
        let linux = replayed(&bytes, PolicyKind::LinuxX86).outcome.totals;
        assert!(engine.sent <= linux.sent, "{name}: {} and {}", engine.sent, linux.sent);
    }
}

#[test]
fn what_a_truncated_trace_still_holds_is_counted() {
    let whole = bytes(TRACES[0].0);
    let run = replayed(&whole[..90_000], PolicyKind::Shootdown);
    assert!(matches!(run.error, Some(TraceError::Truncated(90_000))), "{:?}", run.error);
    assert!(run.recorded.entries > 10_000 && run.outcome.totals.sent > 0);
}

#[test]
fn linux_calls_members_that_are_elsewhere_once_a_second_and_they_leave() {
    let mut trace = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut trace).expect("memory");
    let start = [
        (0, Entry::Create(0)),
        (0, Entry::Run(0)),
        (1, Entry::Run(0)),
        (1, Entry::Create(1)),
        (1, Entry::Run(1)),
    ];
    for (at, (cpu, entry)) in start.into_iter().enumerate() {
        writer.add(10 * at as u64, cpu, entry).expect("memory");
    }
    for at in 1..30 {
        writer.add(110_000 * at, 0, Entry::Flush { pages: 1, tables: false, space: 0 }).expect("memory");
    }
    writer.finish(2).expect("memory");
    let trace = trace.into_inner();
    // Nine flushes find the other CPU elsewhere, the tenth is the first after a second.
    let totals = replayed(&trace, PolicyKind::LinuxX86).outcome.totals;
    assert_eq!((totals.remote_flushes, totals.sent), (10, 1));
    let totals = replayed(&trace, PolicyKind::LinuxX86Exact).outcome.totals;
    assert_eq!((totals.remote_flushes, totals.sent), (0, 0));
}
