//! The command `shootdown` for bugs of one's own: `cargo run --release -- check bugs`.

mod counted_acks;

use shootdown_cases::bugs::Bug;
use std::process::ExitCode;

const BUGS: &[Bug] = &[counted_acks::BUG];

fn main() -> ExitCode {
    shootdown_cli::main_with(BUGS)
}

#[cfg(test)]
mod tests {
    use super::BUGS;
    use shootdown_cases::engine::Fault;
    use shootdown_cases::scenarios;
    use shootdown_explore::{Memory, Options, Verdict};

    #[test]
    fn headers_are_sound() {
        assert_eq!(shootdown_cases::bugs::problems(BUGS, &scenarios::cases(Fault::NONE)), []);
    }

    #[test]
    fn broken_protocols_break_as_they_say_and_mended_ones_hold_under_every_memory_model() {
        for bug in BUGS {
            let [broken, fixed] = bug.cases();
            let report = (broken.run)(&Options { memory: bug.memory, ..Options::default() });
            assert_eq!(report.verdict, Verdict::Violates(bug.ends.into()), "{}", bug.name);
            for memory in [Memory::Sc, Memory::Tso, Memory::Pso] {
                let report = (fixed.run)(&Options { memory, ..Options::default() });
                assert_eq!(report.verdict, Verdict::Holds, "{} under {memory:?}", bug.name);
            }
        }
    }
}
