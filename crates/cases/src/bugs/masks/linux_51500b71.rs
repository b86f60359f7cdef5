//! A flush by hypercall checks the mask with interrupts off; another CPU empties it before it is used.

use crate::bugs::{Bug, Stage, code};
use crate::protocols::hypercall_mask::{Check, HypercallMask, Member, Policy};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-51500b71-hyperv-shrinking-mask",
    id: "A17b",
    source: "51500b71d500",
    year: 2022,
    title: "x86/hyperv: Properly deal with empty cpumasks in hyperv_flush_tlb_multi()",
    arch: "x86 (Hyper-V)",
    rules: &[3],
    about: "A flush finds a CPU in the mask with interrupts off; that CPU switches away and clears its bit, \
            and the flush looks up the last CPU of an empty set.",
    ends: "CPU 0 reads past the end of the table of virtual processor numbers",
    engine: "transport-hypercall",
    code: code!["linux_51500b71.rs", "hypercall_mask.rs"],
    // A CPU that leaves before the call has dropped the page by itself. Nothing but x86's order tells the flush that its use is over.
    fixed_under: Memory::Pso,
    chain: &[
        Stage::wrong(
            "interrupts-on",
            "CPU 0 reads past the end of the table of virtual processor numbers",
            || model(Check::First),
        ),
        Stage::broken("ad0a6bad4475 x86/hyperv: check cpu mask after interrupt has been disabled"),
        Stage::FIXED,
    ],
    ..Bug::race(Memory::Tso, |variant| {
        model(if variant == Variant::Broken { Check::FirstMasked } else { Check::EachValue })
    })
};

fn model(check: Check) -> Model {
    HypercallMask::model(Policy { check, member: Member::Other })
}
