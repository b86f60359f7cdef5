//! The thread that frees memory drops a last user reference and waits for I/O that needs memory.

use crate::bugs::{Bug, code};
use crate::protocols::late_drop::{By, LateDrop, Place, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-ec8d7c14-oom-reaper-put",
    id: "E9",
    source: "ec8d7c14ea14",
    year: 2016,
    title: "mm, oom_reaper: do not mmput synchronously from the oom reaper context",
    rules: &[10, 11],
    about: "The out-of-memory reaper drops a victim's last user reference, and so waits for I/O that cannot complete until the \
            reaper has freed memory.",
    ends: "no CPU can go on: CPU 0 waits for events.io to change from 0x0; CPU 2 waits for events.memory to change from 0x0",
    engine: "deferred-teardown",
    duty: "where a last reference may be dropped is for the embedder to know, to whom the engine hands the teardown",
    code: code!["linux_ec8d7c14.rs", "late_drop.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let by = if variant == Variant::Broken { By::Dropper } else { By::Worker };
    LateDrop::model(Policy { place: Place::Reaper, by })
}
