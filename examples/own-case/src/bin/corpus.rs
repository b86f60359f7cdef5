//! The command `shootdown` for bugs of one's own: `cargo run --release --features corpus --bin corpus -- check bugs`. A
//! bug is a sketch and what a collection says of it.

#[path = "../counted_acks.rs"]
mod counted_acks;

use shootdown_cases::bugs::Bug;
use std::process::ExitCode;

const COUNTED_ACKS: Bug = Bug {
    id: "G1",
    source: "made up for this example",
    title: "flush: number the requests",
    kernel: "Toy",
    rules: &[6, 8],
    story: include_str!("../counted_acks.md"),
    engine: "two-flushers",
    ..Bug::of(counted_acks::SKETCH)
};

const BUGS: &[Bug] = &[COUNTED_ACKS];

fn main() -> ExitCode {
    shootdown_cli::main_with(BUGS)
}

#[cfg(test)]
mod tests {
    use super::{BUGS, Bug};
    use shootdown_cases::engine::Fault;
    use shootdown_cases::scenarios;
    use shootdown_model::{Expected, Options};

    #[test]
    fn headers_are_sound() {
        assert_eq!(shootdown_cases::bugs::problems(BUGS, &scenarios::cases(Fault::NONE)), []);
    }

    #[test]
    fn broken_protocols_break_as_they_say_and_mended_ones_hold() {
        for case in BUGS.iter().flat_map(Bug::cases) {
            let report = (case.run)(&Options { memory: case.memory, ..Options::default() });
            assert!(case.expected.is_met_by(&report.verdict), "{}: {:?}", case.name, report.verdict);
            assert_eq!((case.objections)(&report, case.memory), Vec::<String>::new(), "{}", case.name);
            assert_eq!(case.expected == Expected::Holds, case.name.ends_with("/fixed"));
        }
    }
}
