//! The flush of a space on all CPUs is asked for, and answered before it is done.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "fiasco-1a3567c1-unawaited-call",
    id: "G33",
    source: "1a3567c109ec",
    year: 2024,
    title: "mem_space: Fix incorrect usage of cpu_call_many",
    kernel: "L4Re Fiasco",
    arch: "generic",
    rules: &[6, 8],
    about: "The flush on other CPUs is asked for by an asynchronous call: the caller goes on, and frees, when they have \
            taken the request and not flushed yet.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["fiasco_1a3567c1.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::MembersWhoAnswerFirst } else { Reach::Members };
    Unmap::model(Policy { cpus: 2, current: 0, change: Change::Unmap, reach, free: Free::AfterFlush })
}
