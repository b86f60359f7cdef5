//! Cases and reports made by hand, so that the command line is tested without exploring anything.

use crate::args::{BootArgs, Cli, Command};
use clap::Parser;
use shootdown_explore::{Action, Memory, Move, Report, Step, Trace, Verdict};
use shootdown_machine::{Case, Expected, Kind, Variant};
use std::time::Duration;

/// What `shootdown boot` is asked for by `line`.
pub fn boot_args(line: &str) -> BootArgs {
    match Cli::try_parse_from(["shootdown", "boot"].into_iter().chain(line.split_whitespace())) {
        Ok(Cli { command: Some(Command::Boot(args)) }) => args,
        other => panic!("{line}: {other:?}"),
    }
}

/// A shipped case in the group `pairs` that holds.
pub fn engine_case(name: &str, cpus: usize) -> Case {
    Case {
        name: name.to_owned(),
        kind: Kind::Engine,
        variant: Variant::Shipped,
        expected: Expected::Holds,
        stated: Vec::new(),
        memory: Memory::Tso,
        cpus,
        deep: false,
        groups: &["pairs"],
        about: "Two CPUs share a space.".to_owned(),
        story: "One flushes.\n\nThe other\nswitches.",
        run: Box::new(|_| report(Verdict::Holds)),
        replay: Box::new(|_, _| Ok(Trace::default())),
        objections: Box::new(|_, _| Vec::new()),
        unreached: Box::new(|_| Vec::new()),
    }
}

/// A broken bug case that violates after three moves.
pub fn bug_case(name: &str) -> Case {
    Case {
        kind: Kind::Bug,
        variant: Variant::Broken,
        expected: Expected::Violates,
        groups: &[],
        run: Box::new(|_| violation("frame 1 is reused while CPU 1 can reach it")),
        replay: Box::new(|_, moves| match moves.iter().position(|m| m.action == Action::Drain(9)) {
            Some(at) => Err((at, "the store buffer has no entry 9".to_owned())),
            None if moves.len() < 3 => Ok(Trace { outcome: String::new(), ..trace("") }),
            None => Ok(trace("frame 1 is reused while CPU 1 can reach it")),
        }),
        ..engine_case(name, 2)
    }
}

/// A fixed bug case that holds.
pub fn fixed_case(name: &str) -> Case {
    Case { kind: Kind::Bug, variant: Variant::Fixed, groups: &[], ..engine_case(name, 2) }
}

/// A report without figures.
pub fn report(verdict: Verdict) -> Report {
    Report {
        rounds: 1,
        elapsed: Duration::from_millis(1500),
        final_round: Duration::from_millis(1000),
        ..Report::without_states(verdict)
    }
}

/// A report with [`trace`].
pub fn violation(message: &str) -> Report {
    Report {
        states: 1234,
        peak_bytes: 123_400,
        trace: Some(trace(message)),
        ..report(Verdict::Violates(message.into()))
    }
}

/// A trace of three moves on two CPUs: a step, an interrupt with its handler's first step, a drain.
pub fn trace(outcome: &str) -> Trace {
    let step = |cpu, action, text: &str, note, depth, state: &[&str]| Step {
        mov: Move { cpu, action },
        text: text.to_owned(),
        note,
        place: None,
        depth,
        state: state.iter().map(|&line| line.to_owned()).collect(),
    };
    Trace {
        steps: vec![
            step(0, Action::Run, "A.mask |= 0x2 (was 0x1)", "unmap page 0", 0, &["cpu 1: may hold page 0"]),
            step(1, Action::Interrupt(0), "takes interrupt 0 <ipi>", "", 1, &["cpu 1: may hold page 0"]),
            step(
                0,
                Action::Drain(0),
                "drains A.pte0 = 0",
                "unmap page 0",
                0,
                &["cpu 1: holds page 0, stale"],
            ),
        ],
        outcome: outcome.to_owned(),
        ..Trace::default()
    }
}
