//! The CPU that begins a new version of context numbers tells the others and does not wait for them.

use crate::bugs::{Bug, code};
use crate::protocols::wrap::{Others, Wrap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-a0582f26-context-wrap",
    id: "C2",
    source: "a0582f26ec9d",
    year: 2017,
    title: "sparc64: new context wrap",
    arch: "sparc64",
    rules: &[12],
    about: "A wrap of context numbers is announced and not waited for: a CPU that has not been told \
            still runs with a number that another space has got.",
    ends: "CPU 1, in space A, can use page 0 -> frame 2 of space B (SD-12)",
    engine: "contexts-rollover",
    code: code!["linux_a0582f26.rs", "wrap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    Wrap::model(if variant == Variant::Broken { Others::AreTold } else { Others::KeepTheirs })
}
