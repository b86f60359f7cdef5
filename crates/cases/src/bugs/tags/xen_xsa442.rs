//! A device gets other page tables, and the IOMMU keeps what it has cached of the old ones.

use crate::bugs::{Bug, code};
use crate::protocols::one_tag::{Flush, OneTag};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa442-device-table",
    id: "C24",
    source: "5fc98b97084a, XSA-442 (CVE-2023-34326)",
    year: 2023,
    title: "iommu/amd-vi: flush IOMMU TLB when flushing the DTE",
    kernel: "Xen",
    arch: "x86 (AMD IOMMU)",
    rules: &[12],
    about: "Xen changes which tables a device uses and flushes the entry that says so, but not the \
            IOMMU's TLB; the device goes on with the old tables.",
    ends: "CPU 0, in space B, can use page 0 -> frame 1 of space A (SD-12)",
    engine: "tag-reuse",
    code: code!["xen_xsa442.rs", "one_tag.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    OneTag::model(if variant == Variant::Broken { Flush::Never } else { Flush::AfterLoad })
}
