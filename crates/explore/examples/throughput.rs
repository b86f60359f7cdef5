//! Prints how fast and how large explorations of a three-CPU toy are, with one worker and with two.

#[path = "../tests/common/toy.rs"]
mod toy;

use shootdown_explore::{Memory, Options, Reductions, explore};
use toy::Call::{self, Lazy, Switch, Unmap};
use toy::Toy;

fn main() {
    let scripts: [(&str, Vec<&[Call]>); 3] = [
        (
            "two calls each",
            vec![&[Unmap(0, 0), Switch(1)], &[Unmap(1, 0), Switch(0)], &[Switch(1), Switch(0)]],
        ),
        (
            "two flushers and a lazy CPU",
            vec![&[Unmap(0, 0), Lazy], &[Switch(0), Unmap(0, 1)], &[Lazy, Switch(0), Switch(1)]],
        ),
        (
            "three calls, two, two",
            vec![&[Unmap(0, 0), Switch(1), Unmap(1, 1)], &[Unmap(1, 0), Switch(0)], &[Switch(1), Switch(0)]],
        ),
    ];
    for (name, calls) in scripts {
        for memory in [Memory::Tso, Memory::Pso] {
            for (workers, partial_order) in [(1, true), (2, true), (2, false)] {
                let toy = Toy::new(&[0, 1, 0], &calls);
                let options = Options {
                    memory,
                    workers,
                    reductions: Reductions { partial_order, ..Options::default().reductions },
                    max_states: 12_000_000,
                    ..Options::default()
                };
                let report = explore(&toy, &options);
                let seconds = report.final_round.as_secs_f64();
                println!(
                    "{name:28} {memory:?} {workers} worker(s) {:9} {:>9} states {:>10} transitions {:6.2} s \
                     {:5.2} M states/s {:5.2} M transitions/s {:6.1} B/state {:>5} nodes {:>5} runs {} rounds ({:.2} s) {:?}",
                    if partial_order { "reduced" } else { "full" },
                    report.states,
                    report.transitions,
                    seconds,
                    report.states as f64 / seconds / 1e6,
                    report.transitions as f64 / seconds / 1e6,
                    report.peak_bytes as f64 / report.states as f64,
                    report.nodes,
                    report.executions,
                    report.rounds,
                    report.elapsed.as_secs_f64(),
                    report.verdict,
                );
            }
        }
    }
}
