//! An iterator reads the space from a task without a lock or a reference, and the task exits.

use crate::bugs::{Bug, code};
use crate::protocols::outsider::{Hold, Look, Outsider, Permit, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-d8e27d2d-bpf-task-vma",
    id: "E4",
    source: "d8e27d2d22b6 (CVE-2026-53085)",
    year: 2026,
    title: "bpf: fix mm lifecycle in open-coded task_vma iterator",
    rules: &[10],
    about: "A program attached to the kernel reads a task's address space with neither a lock nor a reference, and takes a lock \
            inside a structure that the exiting task has freed.",
    ends: "use of mm.held after its memory was given back",
    engine: "upgrade-vs-last-drop",
    code: code!["linux_d8e27d2d.rs", "outsider.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let permit = if variant == Variant::Broken { Permit::Nothing } else { Permit::UserReference };
    Outsider::model(Policy {
        name: "iterate over the areas of a task",
        hold: Hold::Task,
        permit,
        look: Look::Areas,
        exit_locks: true,
        exit_resets: true,
    })
}
