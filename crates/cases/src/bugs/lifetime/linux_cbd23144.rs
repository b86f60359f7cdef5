//! A device shares a process's space and keeps a pointer that is not counted; it is unbound after the process is gone.

use crate::bugs::{Bug, code};
use crate::protocols::outsider::{Hold, Look, Outsider, Permit, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-cbd23144-smmu-sva-bond",
    id: "E5",
    source: "cbd23144f766 (CVE-2022-49426)",
    year: 2022,
    title: "iommu/arm-smmu-v3-sva: Fix mm use-after-free",
    arch: "arm64",
    rules: &[10, 12],
    about: "A driver that shares a process's address space with a device keeps a bare pointer to the structure and gives the \
            address-space number back through it when the structure is gone.",
    ends: "use of mm.context after its memory was given back",
    engine: "lazy-vs-final-drop",
    code: code!["linux_cbd23144.rs", "outsider.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    let hold = if variant == Variant::Broken { Hold::Pointer } else { Hold::Structure };
    Outsider::model(Policy {
        name: "unbind the device",
        hold,
        permit: Permit::Nothing,
        look: Look::Structure,
        exit_locks: true,
        exit_resets: false,
    })
}
