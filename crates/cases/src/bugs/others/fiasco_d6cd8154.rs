//! Memory shared by kernel and task is given back without a flush.

use crate::bugs::{Bug, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "fiasco-d6cd8154-kernel-user-memory",
    id: "G35",
    source: "d6cd8154b8c6",
    year: 2024,
    title: "task: Flush TLB after un/mapping kernel user memory",
    kernel: "L4Re Fiasco",
    arch: "generic",
    rules: &[8],
    about: "Memory that the kernel shares with a task is unmapped from the task and given back, and no \
            TLB is flushed.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["fiasco_d6cd8154.rs", "unmap.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Nobody } else { Reach::Members };
    Unmap::model(Policy { cpus: 2, current: 0, change: Change::Unmap, reach, free: Free::AfterFlush })
}
