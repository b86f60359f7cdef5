//! Prints, for every case and the traces of the broken ones, what it takes to explore it.

use shootdown_explore::Options;
use std::time::{Duration, Instant};

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for case in shootdown_corpus::cases().into_iter().filter(|case| case.name.contains(&wanted)) {
        let options =
            Options { memory: case.memory, deadline: Some(Duration::from_secs(20)), ..Options::default() };
        let start = Instant::now();
        let report = (case.run)(&options);
        let trace = report.trace.as_ref().map_or(0, |trace| trace.steps.len());
        println!(
            "{:45} {:?} {:8} states {:4} nodes {} rounds {:7.1?} {:3} moves: {:?}",
            case.name,
            case.memory,
            report.states,
            report.nodes,
            report.rounds,
            start.elapsed(),
            trace,
            report.verdict
        );
        if wanted.is_empty() {
            continue;
        }
        for step in report.trace.iter().flat_map(|trace| &trace.steps) {
            let indent = " ".repeat(2 + 40 * step.mov.cpu + 2 * usize::from(step.depth));
            println!("{indent}{} [{}] {:?}", step.text, step.note, step.mov.action);
            if step.text.starts_with("zz") {
                println!("{:?}", step.state);
            }
        }
    }
}
