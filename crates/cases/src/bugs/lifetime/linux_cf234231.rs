//! A notifier drops the last user reference under the lock that tearing down takes.

use crate::bugs::{Bug, code};
use crate::protocols::late_drop::{By, LateDrop, Place, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-cf234231-amdkfd-notifier",
    id: "E8",
    source: "cf234231fcbc (CVE-2025-38520)",
    year: 2025,
    title: "drm/amdkfd: Don't call mmput from MMU notifier callback",
    rules: &[10, 11],
    about: "A GPU driver's notifier, called under a lock of the reverse map, drops what becomes the last user reference; tearing \
            the mappings down takes that lock again.",
    ends: "no CPU can go on: CPU 0 waits for lock.held to change from 0x1",
    engine: "deferred-teardown",
    duty: "where a last reference may be dropped is for the embedder to know, to whom the engine hands the teardown",
    code: code!["linux_cf234231.rs", "late_drop.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let by = if variant == Variant::Broken { By::Dropper } else { By::Worker };
    LateDrop::model(Policy { place: Place::UnderLock, by })
}
