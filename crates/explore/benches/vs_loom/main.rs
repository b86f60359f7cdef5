//! The same small shootdown protocol, from one source, on this explorer and on loom: what each has to visit, what each
//! says of a sound and of a broken variant, and how long each takes.
//!
//! `cargo bench -p shootdown-explore` prints the table. `cargo test` runs it too: it fails if a checker does not
//! finish, or misjudges a variant.
//!
//! The two machines differ: loom knows weaker loads than the explorer; the explorer knows interrupts and devices, which
//! this protocol does not have. The numbers say what an answer about this protocol costs.

mod on_explorer;
mod on_loom;
mod protocol;

use protocol::Variant;
use std::process::ExitCode;

/// What one checker did with one variant.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// States that the explorer stored, or executions that loom ran.
    visited: u64,
    /// Whether everything was visited, up to the first violation.
    complete: bool,
    /// Whether a violation was found.
    caught: bool,
    /// Wall-clock time, up to the first violation.
    seconds: f64,
}

impl Outcome {
    fn verdict(self) -> &'static str {
        match self {
            Self { caught: true, .. } => "violated",
            Self { complete: true, .. } => "holds",
            _ => "stopped",
        }
    }
}

const VARIANTS: [(Variant, &str, &str); 2] =
    [(Variant::Sound, "sound", "holds"), (Variant::WithoutFence, "borrower's fence missing", "violated")];

fn main() -> ExitCode {
    println!("{:26} {:9} {:>20} {:>11} {:>10}", "protocol, 2 CPUs", "checker", "visited", "time", "verdict");
    let mut wrong = 0;
    for (variant, name, expected) in VARIANTS {
        let (explorer, loom) = (on_explorer::run(variant), on_loom::run(variant));
        for (checker, outcome, unit) in [("explorer", explorer, "states"), ("loom", loom, "executions")] {
            let visited = format!("{} {unit}", outcome.visited);
            let (milliseconds, verdict) = (outcome.seconds * 1e3, outcome.verdict());
            println!("{name:26} {checker:9} {visited:>20} {milliseconds:>8.1} ms {verdict:>10}");
            wrong += u8::from(verdict != expected);
        }
        println!("{:26} loom takes {:.1} times as long", "", loom.seconds / explorer.seconds.max(1e-9));
        wrong += u8::from(on_explorer::run(variant).visited != explorer.visited);
    }
    if wrong == 0 {
        println!("Both checkers pass the sound variant and catch the broken one.");
        return ExitCode::SUCCESS;
    }
    println!(
        "NOT AS EXPECTED: a checker did not finish, gave another verdict, or counted other states the second time."
    );
    ExitCode::FAILURE
}
