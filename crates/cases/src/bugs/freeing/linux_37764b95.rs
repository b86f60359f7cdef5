//! A device is taken out of the IOMMU's table, and its own TLB is forgotten.

use crate::bugs::{Bug, code};
use crate::protocols::ats::{Ats, Order, Takes};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "linux-37764b95-context-clear",
    id: "D39",
    source: "37764b952e1b",
    year: 2021,
    title: "iommu/vt-d: Global devTLB flush when present context entry changed",
    arch: "x86 (VT-d)",
    rules: &[8],
    about: "A device's context entry is cleared and the IOMMU is flushed; what the device keeps in its own TLB goes \
            on working.",
    ends: "device 2 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["linux_37764b95.rs", "ats.rs"],
    ..Bug::race(Memory::Tso, |variant| Ats::model(Takes::Everything, order(variant)))
};

fn order(variant: Variant) -> Order {
    if variant == Variant::Broken { Order::Iommu } else { Order::IommuFirst }
}
