//! Exit leaves the pointer to the areas that it has freed, and a reaper of any task follows it.

use crate::bugs::{Bug, code};
use crate::protocols::outsider::{Hold, Look, Outsider, Permit, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-f798a1d4-mrelease-exit",
    id: "E3",
    source: "f798a1d4f94d",
    year: 2022,
    title: "mm: fix use-after-free bug when mm->mmap is reused after being freed",
    rules: &[10],
    about: "Exit frees the areas under their lock but leaves the pointer to them; a flag kept the out-of-memory reaper away, and a \
            new system call does not look at the flag.",
    ends: "use of areas.first after its memory was given back",
    engine: "upgrade-vs-last-drop",
    code: code!["linux_f798a1d4.rs", "outsider.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let exit_resets = variant == Variant::Fixed;
    Outsider::model(Policy {
        name: "process_mrelease",
        hold: Hold::Structure,
        permit: Permit::Nothing,
        look: Look::Areas,
        exit_locks: true,
        exit_resets,
    })
}
