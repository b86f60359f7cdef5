//! KSM, which is switched off, waits for the lock of the areas and then walks areas that exit has destroyed under that
//! lock.

use crate::bugs::{Bug, code};
use crate::protocols::outsider::{Hold, Look, Outsider, Permit, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-6db504ce-ksm-exit",
    id: "E2",
    source: "6db504ce55bd (CVE-2023-53614)",
    year: 2023,
    title: "mm/ksm: fix race with VMA iteration and mm_struct teardown",
    rules: &[10],
    about: "A walker that holds a structure reference gets the lock of the areas after exit has destroyed them under the same \
            lock, and does not ask again.",
    ends: "use of areas.first after its memory was given back",
    engine: "upgrade-vs-last-drop",
    code: code!["linux_6db504ce.rs", "outsider.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let permit = if variant == Variant::Broken { Permit::Nothing } else { Permit::AnyUsers };
    Outsider::model(Policy {
        name: "KSM is switched off: unmerge pages",
        hold: Hold::Structure,
        permit,
        look: Look::Areas,
        exit_locks: true,
        exit_resets: false,
    })
}
