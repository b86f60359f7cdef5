//! Xen flushes first and loads the new root, without a flush, second.

use crate::bugs::{Bug, code};
use crate::protocols::one_tag::{Flush, OneTag};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa292-pcid",
    id: "C21",
    source: "XSA-292 (CVE-2019-17346)",
    year: 2019,
    title: "x86: insufficient TLB flushing when using PCID",
    kernel: "Xen",
    arch: "x86",
    rules: &[12],
    about: "A switch flushes everything and then loads the new root with flushing off; in between the CPU refills \
            from the old tables.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "slots-reuse",
    code: code!["xen_xsa292.rs", "one_tag.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    OneTag::model(if variant == Variant::Broken { Flush::BeforeLoad } else { Flush::WithLoad })
}
