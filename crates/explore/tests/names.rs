//! Words in drawings have the names that they have in the code.

use shootdown_explore::sync::{Word, demand};
use shootdown_explore::{Memory, NoDevice, Options, Registry, Scenario, explore};
use std::sync::atomic::Ordering::Relaxed;

/// CPU `n` uses word `n + 2` alone, so that ranks among used words are not indices.
struct Wants {
    before: Word,
    wants: [Word; 4],
    declared: bool,
}

impl Scenario for Wants {
    type Device = NoDevice;
    fn cpus(&self) -> usize {
        2
    }
    fn main(&self, cpu: usize) {
        self.before.fetch_and(!(1 << cpu), Relaxed);
        self.wants[cpu + 2].store(1, Relaxed);
        demand(self.wants[3].load(Relaxed) == 0 || cpu == 1, "seen");
    }
    fn device(&self) -> &NoDevice {
        &NoDevice
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("s", self);
        if self.declared {
            registry.array("s.wants", &self.wants);
            registry.mask(&self.before);
            registry.values(&self.wants[3], &[(0, "idle"), (1, "wanted")]);
        }
    }
}

/// What a drawing says, and the names that several words share.
fn drawing(declared: bool) -> (Vec<String>, Vec<&'static str>) {
    let wants = [const { Word::new("wants", 0) }; 4];
    let scenario = Wants { before: Word::new("before", 3), wants, declared };
    let report = explore(&scenario, &Options { memory: Memory::Sc, survey: true, ..Options::default() });
    let steps = report.trace.expect("CPU 0 sees what CPU 1 wants").steps;
    (steps.into_iter().map(|step| step.text).collect(), report.survey.alike)
}

#[test]
fn words_of_an_array_are_called_by_their_index_whichever_of_them_are_used() {
    let (steps, alike) = drawing(true);
    for text in
        ["s.wants[3] := wanted (was idle)", "s.wants[2] := 0x1 (was 0x0)", "reads s.wants[3] = wanted"]
    {
        assert!(steps.iter().any(|step| step == text), "{text}: {steps:?}");
    }
    assert!(alike.is_empty(), "{alike:?}");
}

#[test]
fn an_array_that_is_not_known_gets_numbers_that_are_no_indices() {
    let (steps, alike) = drawing(false);
    assert!(steps.iter().any(|step| step.starts_with("s.wants#1 := ")), "{steps:?}");
    assert_eq!(alike, ["wants"]);
}

#[test]
fn bits_that_are_cleared_are_shown_as_those() {
    let (steps, _) = drawing(false);
    assert!(steps.iter().any(|step| step.starts_with("s.before &= !0x1 ")), "{steps:?}");
}

#[test]
fn a_mask_is_shown_as_the_cpus_in_it() {
    let (steps, _) = drawing(true);
    let starts = |text: &str| steps.iter().any(|step| step.starts_with(text));
    assert!(starts("s.before &= !{0} (was {") && starts("s.before &= !{1} (was {"), "{steps:?}");
}
