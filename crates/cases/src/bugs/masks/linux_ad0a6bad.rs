//! A flush by hypercall checks the mask with interrupts on; an interrupt empties it before it is used.

use crate::bugs::{Bug, code};
use crate::protocols::hypercall_mask::{Check, HypercallMask, Member, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-ad0a6bad-hyperv-empty-mask",
    id: "A17",
    source: "ad0a6bad4475",
    year: 2021,
    title: "x86/hyperv: check cpu mask after interrupt has been disabled",
    arch: "x86 (Hyper-V)",
    rules: &[3],
    about: "A flush finds a CPU in the mask, is interrupted by a request to leave that empties the mask, and \
            looks up the last CPU of an empty set.",
    ends: "CPU 0 reads past the end of the table of virtual processor numbers",
    engine: "transport-hypercall",
    code: code!["linux_ad0a6bad.rs", "hypercall_mask.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let check = if variant == Variant::Broken { Check::First } else { Check::FirstMasked };
    HypercallMask::model(Policy { check, member: Member::Flusher })
}
