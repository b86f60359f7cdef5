//! Two virtual CPUs of a guest take turns on one CPU under the guest's VMID and find each other's translations.

use crate::bugs::{Bug, code};
use crate::protocols::one_tag::{Flush, OneTag};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-94d0e598-kvm-vcpus",
    id: "C8",
    source: "94d0e5980d67",
    year: 2016,
    title: "arm/arm64: KVM: Perform local TLB invalidation when multiplexing vcpus on a single CPU",
    arch: "arm64",
    rules: &[12],
    about: "Two virtual CPUs of a guest run on one physical CPU under one VMID; the second hits translations that \
            the first has left.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "vmid-rollover",
    code: code!["linux_94d0e598.rs", "one_tag.rs"],
    ..Bug::race(Memory::Pso, model)
};

fn model(variant: Variant) -> Model {
    OneTag::model(if variant == Variant::Broken { Flush::Never } else { Flush::WhenAnotherRanLast })
}
