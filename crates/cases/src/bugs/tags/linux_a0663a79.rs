//! Threads of a core share a TLB, and the allocator of context numbers believes that each CPU has its own.

use crate::bugs::{Bug, code};
use crate::protocols::wrap::{Others, Wrap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-a0663a79-smt-contexts",
    id: "C1",
    source: "a0663a79ad4f",
    year: 2006,
    title: "[SPARC64]: Fix TLB context allocation with SMT style shared TLBs.",
    arch: "sparc64",
    rules: &[12],
    about: "After a wrap a context number is given out again while another thread of the core still runs with it and \
            fills the TLB they share.",
    ends: "CPU 1, in space A, can use page 0 -> frame 2 of space B (SD-12)",
    engine: "contexts-rollover",
    code: code!["linux_a0663a79.rs", "wrap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    Wrap::model(if variant == Variant::Broken { Others::GoOn } else { Others::AreWaitedFor })
}
