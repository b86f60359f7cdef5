//! Two protocols on this explorer and on SPIN: states stored, and processor time to the verdict.
//!
//! `cargo bench -p shootdown-explore --bench vs_spin` prints the table; it says so where `spin` or `gcc` is not
//! installed. `cargo test` runs the explorer's side: it fails if a protocol does not hold or takes more states than it
//! may.
//!
//! The models are the same step by step, under sequential consistency. The explorer looks for livelocks as well. Of
//! SPIN's time a fixed part is for its empty table of states, which its default makes large for models as small as
//! these.

mod processor;
mod protocols;
mod spin;

use protocols::{Filter, Mailbox};
use shootdown_explore::{Memory, Options, Report, Scenario, Verdict, explore};
use std::process::ExitCode;

/// Most processor time of the explorer, in that of SPIN.
const MOST: f64 = 3.0;

/// The report of a run, and the processor seconds that it took: all of its work is done by this thread.
fn run<S: Scenario>(scenario: &S) -> (Report, f64) {
    let began = processor::seconds_here();
    let report = explore(scenario, &Options { memory: Memory::Sc, workers: 1, ..Options::default() });
    let seconds = began.and_then(|began| Some(processor::seconds_here()? - began));
    let seconds = seconds.unwrap_or(report.elapsed.as_secs_f64());
    (report, seconds)
}

fn main() -> ExitCode {
    // `cargo bench` says so; `cargo test` does not.
    let compare = std::env::args().any(|argument| argument == "--bench");
    let rows = [
        ("shootdown by mailbox, 3 CPUs", run(&Mailbox::new(3)), 40_000, ("mailbox", 3)),
        ("filter lock, 4 CPUs", run(&Filter::new(4)), 300_000, ("filter", 4)),
    ];
    println!("{:30} {:9} {:>10} {:>11} {:>9}", "protocol", "checker", "states", "time", "verdict");
    let mut wrong = 0;
    for (name, (report, seconds), most, (model, cpus)) in rows {
        let holds = report.verdict == Verdict::Holds;
        print(name, "explorer", report.states, seconds, holds);
        wrong += u8::from(!holds || report.states > most);
        if compare {
            match spin::run(model, cpus) {
                Ok(run) => {
                    print("", "spin", run.states, run.seconds, run.errors == 0);
                    let times = seconds / run.seconds.max(1e-3);
                    println!("{:30} the explorer takes {times:.1} times as long", "");
                    wrong += u8::from(run.errors != 0 || times > MOST);
                }
                Err(reason) => println!("{:30} spin      not measured: {reason}", ""),
            }
        }
    }
    if wrong == 0 {
        return ExitCode::SUCCESS;
    }
    println!(
        "NOT AS EXPECTED: a protocol does not hold, or took more states than 40,000 and 300,000, or more than {MOST} times SPIN's \
         processor time."
    );
    ExitCode::FAILURE
}

fn print(name: &str, checker: &str, states: u64, seconds: f64, holds: bool) {
    let verdict = if holds { "holds" } else { "other" };
    println!("{name:30} {checker:9} {states:>10} {:>8.1} ms {verdict:>9}", seconds * 1e3);
}
