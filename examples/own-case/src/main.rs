//! The models of this package: `cargo run --release` checks them, `cargo run --release -- explain NAME` draws how one
//! fails.

mod counted_acks;

use shootdown_model::{Sketch, main_with};
use std::process::ExitCode;

const SKETCHES: &[Sketch] = &[counted_acks::SKETCH];

fn main() -> ExitCode {
    main_with(SKETCHES)
}

#[cfg(test)]
mod tests {
    use super::SKETCHES;
    use shootdown_model::{Memory, Options, Variant};

    #[test]
    fn sketches_are_well_formed_and_come_out_as_they_say() {
        for sketch in SKETCHES {
            assert_eq!(sketch.problems(), Vec::<String>::new(), "{}", sketch.name);
            for variant in [Variant::Broken, Variant::Fixed] {
                let checked = sketch.check(variant, &Options { memory: sketch.memory, ..Options::default() });
                assert_eq!(checked.objections, Vec::<String>::new(), "{}", checked.name);
            }
        }
    }

    #[test]
    fn mended_protocols_hold_under_every_memory_model() {
        for sketch in SKETCHES {
            for memory in Memory::ALL {
                let checked = sketch.check(Variant::Fixed, &Options { memory, ..Options::default() });
                assert_eq!(
                    checked.objections,
                    Vec::<String>::new(),
                    "{} under {}",
                    checked.name,
                    memory.name()
                );
            }
        }
    }
}
