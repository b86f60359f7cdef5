//! The type of a page is changed by compare-and-exchange after a flush; in between it was used and released.

use crate::bugs::{Bug, code};
use crate::protocols::page_type::{Flush, PageType};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa401-page-type",
    id: "D23",
    source: "XSA-401 (CVE-2022-26362)",
    year: 2022,
    title: "x86/pv: Race condition in typeref acquisition",
    kernel: "Xen",
    arch: "x86 (PV)",
    rules: &[8, 9],
    about: "Xen flushes, then makes a page a page table by an exchange that expects the count it saw; another \
            CPU mapped it writable and unmapped it meanwhile, and can still write to it.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "nested-gathers",
    code: code!["xen_xsa401.rs", "page_type.rs"],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    PageType::model(if variant == Variant::Broken { Flush::BeforeExchange } else { Flush::AfterExchange })
}
