//! Every model of `src/bin/mistakes.rs` is refused with exit code 1, and what is said names the mistake.

use std::process::Command;
use std::sync::Mutex;
use std::thread;

/// The model, and what is said of it.
const REFUSED: &[(&str, &[&str])] = &[
    ("toy-broken-holds", &["HOLDS", "the broken protocol must break a rule"]),
    ("toy-panics", &["PANICS", "an index is out of range"]),
    ("toy-panics-in-handler", &["fixed: PANICS", "the handler has no request"]),
    ("toy-panics-as-stated", &["PANICS", "the broken protocol must break a rule"]),
    ("toy-build-hangs", &["toy-build-hangs/broken: the code that builds the model does not come to its end"]),
    (
        "toy-build-exits",
        &["toy-build-exits/broken: code that no CPU runs", "ends the process", "`process::exit`"],
    ),
    (
        "toy-exits",
        &["toy-exits/broken: CPU 0's code ends the process after its step at src/bin/mistakes.rs:"],
    ),
    ("toy-exits-in-handler", &["/fixed: CPU 1's code ends the process", "`process::exit`"]),
    (
        "toy-aborts",
        &["toy-aborts/broken: CPU 0's code aborts the process after its step at src/bin/mistakes.rs:"],
    ),
    ("toy-panics-in-destructor", &["CPU 0's code aborts the process", "a panic in a destructor"]),
    (
        "toy-huge-allocation",
        &["toy-huge-allocation/broken: CPU 0's code aborts the process", "an allocation that is too large"],
    ),
    ("toy-thread-panics", &["toy-thread-panics/broken: a thread of the model's own panics", "nobody joins"]),
    ("toy-thread-exits", &["toy-thread-exits/broken: code that no CPU runs", "ends the process"]),
    ("toy-build-panics", &["`build`", "cannot be built: there is no such machine"]),
    ("toy-spins-on-word", &["LIVELOCK", "CPU 0 is at src/bin/mistakes.rs", "sync::wait_until"]),
    (
        "toy-spins-without-steps",
        &["CPU 0's main code does not come back", "mistakes.rs:", "sync::wait_until"],
    ),
    ("toy-std-atomic", &["CPU 0's main code does not come back", "sync::wait_until"]),
    ("toy-std-atomic-in-wait", &["DEADLOCK", "its condition reads no word"]),
    ("toy-std-mutex", &["CPU 1's main code does not come", "`kit::Lock`"]),
    (
        "toy-std-thread",
        &[
            "mistakes.rs:",
            "\"flushed\" is used past the explorer",
            "/broken: a thread of the model's own panics",
        ],
    ),
    ("toy-sleeps", &["CPU 0's main code does not come back", "a sleep of the standard library"]),
    ("toy-recursion", &["CPU 0's code overflows its stack after its step at", "deep recursion"]),
    ("toy-allocates-without-steps", &["CPU 0's main code does not come back"]),
    ("toy-allocates-per-step", &["MISUSES", "more than 20000 steps", "sync::wait_until"]),
    ("toy-counts-for-ever", &["STOPPED", "a word that counts for ever"]),
    ("toy-no-fence", &["fixed: VIOLATES", "the mended protocol must hold"]),
    ("toy-zero-cpus", &["a machine has 1 to 8 CPUs, not 0"]),
    ("toy-nine-cpus", &["a machine has 1 to 8 CPUs, not 9"]),
    ("toy-sixty-five-cpus", &["a machine has 1 to 8 CPUs, not 65"]),
    ("toy-cpus-differ", &["the broken protocol has 2 CPUs, the mended one 3"]),
    ("toy-more-cpus-than-machine", &["3 CPUs are to run on a machine of 2"]),
    ("toy-gets-stuck", &["DEADLOCK", "it breaks none of the rules SD-n"]),
    ("toy-gets-stuck-otherwise", &["ends otherwise", "no CPU can go on", "CPU 1 can still use page 0"]),
    ("toy-nothing-registered", &["PANICS", "must call Machine::register"]),
    ("toy-word-not-registered", &["\"flushed\"", "Registry::object"]),
    ("toy-namesakes-in-object", &["\"twin\"", "Registry::array"]),
    ("toy-huge-array", &["STOPPED", "words are in use, \"many\" among them"]),
    ("toy-random", &["MISUSES", "not deterministic"]),
    ("toy-random-once", &["MISUSES", "not deterministic"]),
    ("toy-clock", &["MISUSES", "not deterministic", "sync::choose"]),
    ("toy-static-state", &["MISUSES", "not deterministic", "`sync::Word`"]),
    ("toy-word-on-stack", &["MISUSES", "the word local is on the stack"]),
    ("toy-large-stack", &["CPU 0's code overflows its stack after its step at", "256 KiB"]),
    ("toy-fix-does-nothing", &["never comes to what the broken one does: free frame 1"]),
    ("toy-fix-never-frees", &["never comes to what the broken one does: free frame 1"]),
    ("toy-fix-swallows-panic", &["fixed: PANICS", "nobody is told"]),
    ("toy-fix-delays", &["fixed: VIOLATES", "the mended protocol must hold"]),
    ("toy-fix-frees-other-frame", &["never comes to what the broken one does: free frame 1"]),
    ("toy-fix-frees-sometimes", &["fixed: VIOLATES", "frame 1 is lost"]),
    ("toy-fix-gets-stuck", &["fixed: DEADLOCK", "the mended protocol must hold"]),
    ("toy-fix-changes-hardware", &["runs on other hardware", "`late_accesses` differs"]),
    ("toy-no-oracle", &["without_oracle", "nothing can go wrong on it"]),
    ("toy-fix-panics", &["fixed: PANICS", "the mended protocol panics"]),
    ("toy-fix-removes-victim", &["CPU 1 of the mended protocol starts otherwise"]),
    ("toy-fix-never-waits", &["fixed: VIOLATES", "the mended protocol must hold"]),
    ("toy-fix-answers-first", &["fixed: VIOLATES", "the mended protocol must hold"]),
    ("toy-fix-flushes-other-page", &["fixed: VIOLATES", "the mended protocol must hold"]),
    ("toy-nothing-freed", &["it gives nothing back", "frame 1 is lost"]),
    ("toy-wait-stores", &["MISUSES", "may only load words"]),
    ("toy-raises-on-cpu-nine", &["MISUSES", "raise(9, 0) on a machine of 2 CPUs"]),
    ("toy-no-such-line", &["MISUSES", "raise(1, 77): lines go up to 31"]),
    ("toy-huge-value", &["MISUSES", "walks into 0x4d"]),
    ("toy-no-such-page", &["MISUSES", "flush page 5 (it has 2 CPUs, 1 spaces with pages 0 to 1"]),
    ("toy-no-such-frame", &["MISUSES", "cannot do this: free frame 77 (it has", "frames 1)"]),
    ("toy-no-such-tag", &["MISUSES", "cannot do this: flush tag 3 (it has", "tags 0 to 0"]),
    ("toy-frees-twice", &["fixed: VIOLATES", "frees frame 1, which was freed before"]),
    ("toy-goes-offline", &["MISUSES", "CPU 0 is offline"]),
    ("toy-waits-masked", &["DEADLOCK", "CPU 0 waits for toy.flushed", "CPU 1 waits for toy.flushed"]),
    ("toy-nmi-takes-lock", &["fixed: DEADLOCK", "CPU 0 waits for toy.held"]),
    ("toy-vacuous", &["HOLDS", "the broken protocol must break a rule"]),
    ("toy-other-words", &["ends otherwise", "CPU 1 can still use page 0", "CPU 0 can still use page 1"]),
    ("toy-other-rule", &["ends otherwise", "(SD-8)", "(SD-7)"]),
    ("toy", &["`name` \"toy\"", "as in \"toy-munmap\""]),
    ("toy-no-source", &["`code` shows no source", "include_str!"]),
    ("toy-other-source", &["steps are in mistakes.rs, which `code` does not show"]),
    ("toy-source-by-path", &["`code` shows no source", "its name without folders"]),
    ("toy-twin", &["`name`: 2 models are called \"toy-twin\""]),
];

/// Checks a model; returns the report as one line, and the exit code.
fn checked(name: &str) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_mistakes")).args(["check", name]).output();
    let output = output.expect("the command starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
    (said, output.status.code())
}

#[test]
fn the_table_has_every_mistake() {
    let source = include_str!("../src/bin/mistakes.rs");
    for (name, _) in REFUSED {
        assert!(source.contains(&format!("    \"{name}\" ")), "{name}");
    }
    let models = source.lines().filter(|line| line.starts_with("    \"toy")).count();
    assert_eq!(models, REFUSED.len() + 1, "the twins are one line of the table");
}

#[test]
fn every_mistake_is_refused_with_its_reason() {
    let left = Mutex::new(REFUSED.iter());
    let next = || left.lock().expect("no test panics in it").next();
    // Some hang until the watchdog has seen enough.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, reasons)) = next() {
                    let (said, code) = checked(name);
                    assert_eq!(code, Some(1), "{name}: {said}");
                    for reason in *reasons {
                        assert!(said.contains(reason), "{name} does not say {reason:?}: {said}");
                    }
                }
            });
        }
    });
}
