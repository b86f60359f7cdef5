//! Xen moves a guest's page and puts the flush of the I/O MMU off; the page is freed meanwhile.

use crate::bugs::{Bug, code};
use crate::protocols::moved_page::{Flush, MovedPage, Policy, User};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa346-deferred-iotlb",
    id: "D24",
    source: "XSA-346 (CVE-2020-27671)",
    year: 2020,
    title: "undue deferral of IOMMU TLB flushes",
    kernel: "Xen",
    arch: "x86, Arm",
    rules: &[8],
    about: "A guest's page is moved to another guest address and the flush of the IOMMU put off; the page is \
            removed at its new address and freed, and a device still uses the old one.",
    ends: "CPU 2 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "nested-gathers",
    code: code!["xen_xsa346.rs", "moved_page.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let flush = if variant == Variant::Broken { Flush::AfterUnlock } else { Flush::AfterUnlockWithReference };
    MovedPage::model(Policy {
        words: ["move the page to guest page 2", "remove guest page 2"],
        flush,
        user: User::Device,
    })
}
