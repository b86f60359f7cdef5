//! Every model of `src/bin/mistakes.rs` is refused with exit code 1, and what is said names the mistake.

use std::process::Command;
use std::sync::Mutex;
use std::thread;

/// Reads each row's model, and what is said of it.
macro_rules! mistakes {
    (
        $($(#[$about:meta])* $name:literal $mistake:ident $ends:tt $said:tt;)+
        again $($other:literal $same:ident $other_ends:tt $other_said:tt;)+
    ) => {
        const REFUSED: &[(&str, &[&str])] = &[$(($name, &$said),)+ $(($other, &$other_said),)+];
    };
}

include!("../src/bin/mistakes/table.rs");

/// Checks a model; returns the report as one line, and the exit code.
fn checked(name: &str) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_mistakes")).args(["check", name]).output();
    let output = output.expect("the command starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
    (said, output.status.code())
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
