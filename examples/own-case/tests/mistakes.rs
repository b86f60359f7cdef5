//! Every model of `src/bin/mistakes.rs` is refused with exit code 1, and what is said names the mistake.

use std::process::Command;

/// The case, and what is said of it.
const REFUSED: [(&str, &[&str]); 28] = [
    ("toy-broken-holds", &["HOLDS, must violate"]),
    ("toy-panics", &["PANICS", "an index is out of range"]),
    ("toy-build-panics", &["cannot be built", "there is no such machine"]),
    ("toy-spins-on-word", &["LIVELOCK, refused", "go on for ever: CPU 0 is at src/bin/mistakes.rs"]),
    (
        "toy-spins-without-steps",
        &["toy-spins-without-steps/broken", "CPU 0", "mistakes.rs:", "sync::wait_until"],
    ),
    ("toy-no-fence", &["under pso it violates", "stated: holds", "`fixed_under`"]),
    ("toy-nine-cpus", &["1 to 8 CPUs"]),
    ("toy-cpus-differ", &["the protocol `broken` has 2 CPUs, `fixed` has 3"]),
    ("toy-more-cpus-than-machine", &["3 CPUs are to run on a machine of 2"]),
    ("toy-gets-stuck", &["ends otherwise", "no CPU can go on", "CPU 1 can still use page 0"]),
    ("toy-nothing-registered", &["must call Machine::register"]),
    ("toy-word-not-registered", &["\"flushed\"", "Registry::object"]),
    ("toy-random", &["not deterministic"]),
    ("toy-random-once", &["not deterministic"]),
    ("toy-word-on-stack", &["the word local is on the stack"]),
    ("toy-large-stack", &["toy-large-stack/broken", "CPU 0", "stack", "256 KiB"]),
    ("toy-fix-does-nothing", &["never comes to what the broken one does: free frame 1"]),
    ("toy-fix-never-frees", &["never comes to what the broken one does: free frame 1"]),
    ("toy-fix-panics", &["PANICS", "the mended protocol panics"]),
    ("toy-wait-stores", &["MISUSES", "may only load words"]),
    ("toy-raises-on-cpu-nine", &["MISUSES", "raise(9, 0) on a machine of 2 CPUs"]),
    ("toy-huge-value", &["MISUSES", "walks into 0x4d"]),
    ("toy-no-such-page", &["MISUSES", "cannot do this: flush page 5"]),
    ("toy-no-such-frame", &["MISUSES", "cannot do this: free frame 77"]),
    ("toy-goes-offline", &["MISUSES", "CPU 0 is offline"]),
    ("toy-vacuous", &["HOLDS, must violate"]),
    ("toy-other-words", &["ends otherwise", "CPU 1 can still use page 0", "CPU 0 can still use page 1"]),
    ("toy-other-rule", &["ends otherwise", "(SD-8)", "(SD-7)"]),
];

#[test]
fn every_mistake_is_refused_with_its_reason() {
    for (name, reasons) in REFUSED {
        let output = Command::new(env!("CARGO_BIN_EXE_mistakes")).args(["check", name]).output();
        let output = output.expect("the command starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        for reason in reasons {
            assert!(said.contains(reason), "{name} does not say {reason:?}: {said}");
        }
    }
}
