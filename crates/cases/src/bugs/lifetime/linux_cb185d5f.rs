//! userfaultfd holds a structure reference only and works on mappings that exit has torn down.

use crate::bugs::{Bug, code};
use crate::protocols::outsider::{Hold, Look, Outsider, Permit, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-cb185d5f-userfaultfd-exit",
    id: "E1",
    source: "cb185d5f1ebf (CVE-2021-47461)",
    year: 2021,
    title: "userfaultfd: fix a race between writeprotect and exit_mmap()",
    rules: &[9, 10],
    about: "A holder of a structure reference write-protects pages without taking a user reference, while the last user \
            exits and frees areas and page tables.",
    ends: "use of areas.first after its memory was given back",
    engine: "upgrade-vs-last-drop",
    code: code!["linux_cb185d5f.rs", "outsider.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let permit = if variant == Variant::Broken { Permit::Nothing } else { Permit::UserReference };
    Outsider::model(Policy {
        name: "UFFDIO_WRITEPROTECT",
        hold: Hold::Structure,
        permit,
        look: Look::Protect,
        exit_locks: false,
        exit_resets: false,
    })
}
