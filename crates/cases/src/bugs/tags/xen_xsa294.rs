//! Code that relied on the flush of a root load meets PCIDs, with which there is none.

use crate::bugs::{Bug, code};
use crate::protocols::one_tag::{Flush, OneTag};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa294-shadow",
    id: "C22",
    source: "XSA-294 (CVE-2019-17348)",
    year: 2019,
    title: "x86 shadow: Insufficient TLB flushing when using PCID",
    kernel: "Xen",
    arch: "x86",
    rules: &[12],
    about: "Switching shadow page tables relied on the flush that a root load implied; with PCIDs the load keeps \
            what the old tables left.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "slots-reuse",
    code: code!["xen_xsa294.rs", "one_tag.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    OneTag::model(if variant == Variant::Broken { Flush::Never } else { Flush::WithLoad })
}
