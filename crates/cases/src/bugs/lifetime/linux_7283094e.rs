//! The last structure reference is dropped in an interrupt, over code that holds the lock which freeing the root takes.

use crate::bugs::{Bug, code};
use crate::protocols::late_drop::{By, LateDrop, Place, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-7283094e-mmdrop-softirq",
    id: "E9b",
    source: "7283094ec3db",
    year: 2016,
    title: "kernel, oom: fix potential pgd_lock deadlock from __mmdrop",
    arch: "x86",
    rules: &[10, 11],
    about: "A structure reference held for a dead task is dropped in a soft interrupt; it is the last, and freeing the root takes a \
            lock that the interrupted code holds.",
    ends: "no CPU can go on: CPU 0 waits for lock.held to change from 0x1",
    engine: "deferred-teardown",
    duty: "where a last reference may be dropped is for the embedder to know, to whom the engine hands the teardown",
    code: code!["linux_7283094e.rs", "late_drop.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let by = if variant == Variant::Broken { By::Dropper } else { By::Worker };
    LateDrop::model(Policy { place: Place::Interrupt, by })
}
