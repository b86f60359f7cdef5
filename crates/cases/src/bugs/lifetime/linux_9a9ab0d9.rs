//! A sender drops the receiver's last user reference, so telling of its death becomes the sleeping sender's own task.

use crate::bugs::{Bug, code};
use crate::protocols::late_drop::{By, LateDrop, Place, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-9a9ab0d9-binder-last-put",
    id: "E7",
    source: "9a9ab0d96362 (CVE-2023-52609)",
    year: 2023,
    title: "binder: fix race between mmput() and do_exit()",
    rules: &[10, 11],
    about: "A sender to a process that exits drops its last user reference, inherits the closing of its files, and sleeps until it \
            is told of the death that only that closing would tell.",
    ends: "no CPU can go on: CPU 0 waits for events.told to change from 0x0",
    engine: "deferred-teardown",
    duty: "where a last reference may be dropped is for the embedder to know, to whom the engine hands the teardown",
    code: code!["linux_9a9ab0d9.rs", "late_drop.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let by = if variant == Variant::Broken { By::Dropper } else { By::Worker };
    LateDrop::model(Policy { place: Place::BeforeSleep, by })
}
