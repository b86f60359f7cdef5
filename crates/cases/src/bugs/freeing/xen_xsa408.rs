//! A flush is moved across the line that changes the variable of its condition.

use crate::bugs::{Bug, Stage, code};
use crate::protocols::page_type::{Flush, PageType};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa408-flush-condition",
    id: "D32",
    source: "a9949efb288f, XSA-408 (CVE-2022-33745)",
    year: 2022,
    title: "x86/mm: correct TLB flush condition in _get_page_type()",
    kernel: "Xen",
    arch: "x86 (PV)",
    rules: &[8, 9],
    about: "The flush moved behind the exchange of a page's type, and its condition now looks at the new \
            type, not the old: pages that were writable stay so.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "nested-gathers",
    code: code!["xen_xsa408.rs", "page_type.rs"],
    chain: &[
        Stage::wrong(
            "flush-first",
            "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
            || PageType::model(Flush::BeforeExchange),
        ),
        Stage::broken(
            "8cc5036bc385, XSA-401 (CVE-2022-26362) x86/pv: Fix ABAC cmpxchg() race in _get_page_type()",
        ),
        Stage::FIXED,
    ],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    PageType::model(if variant == Variant::Broken {
        Flush::AfterExchangeToWritable
    } else {
        Flush::AfterExchange
    })
}
