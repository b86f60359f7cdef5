//! A device's own TLB is invalidated before that of the IOMMU, out of which it fills.

use crate::bugs::{Bug, code};
use crate::protocols::ats::{Ats, Order, Takes};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(super) const BUG: Bug = Bug {
    name: "linux-353e3cf8-atc-order",
    id: "B13",
    source: "353e3cf8590c",
    year: 2019,
    title: "iommu/arm-smmu-v3: Fix ATC invalidation ordering wrt main TLBs",
    arch: "arm64 (SMMUv3)",
    rules: &[8],
    about: "An unmap invalidates the device's TLB at once and the IOMMU's when it is told to sync: in between \
            the device fetches the old translation again.",
    ends: "device 2 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "borrow-vs-unmap",
    code: code!["linux_353e3cf8.rs", "ats.rs"],
    ..Bug::race(Memory::Pso, |variant| Ats::model(Takes::Page, order(variant)))
};

fn order(variant: Variant) -> Order {
    if variant == Variant::Broken { Order::DeviceFirst } else { Order::IommuFirst }
}
