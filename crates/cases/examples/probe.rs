//! Prints what an exploration of one engine case costs: `cargo run --release -p shootdown-cases --example probe --
//! NAME`.
use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios::cases;
use shootdown_explore::Options;

fn main() {
    let workers: usize = std::env::args().nth(2).map_or(1, |n| n.parse().expect("number of workers"));
    let name = std::env::args().nth(1).expect("name of a case");
    for case in cases(Fault::NONE).iter().filter(|case| case.name == name) {
        let options = Options {
            memory: case.memory,
            workers,
            deadline: Some(std::time::Duration::from_secs(290)),
            ..Options::default()
        };
        let r = (case.run)(&options);
        println!(
            "{name}: {:?} states {} transitions {} executions {} nodes {} rounds {} elapsed {:.2?} final {:.2?} ({:.0}/s) peak {} MiB, {:.1} B/state, depth {}",
            r.verdict,
            r.states,
            r.transitions,
            r.executions,
            r.nodes,
            r.rounds,
            r.elapsed,
            r.final_round,
            r.states as f64 / r.final_round.as_secs_f64(),
            r.peak_bytes >> 20,
            r.peak_bytes as f64 / r.states as f64,
            r.depth
        );
    }
}
