//! The type of a page is changed by compare-and-exchange after a flush; in between it was used and released.

use crate::bugs::{Bug, boxed, code};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::hw::{self, Which, Whose};
use shootdown_machine::{Machine, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa401-page-type",
    id: "D23",
    source: "XSA-401 (CVE-2022-26362)",
    title: "x86/pv: Race condition in typeref acquisition",
    kernel: "Xen",
    arch: "x86 (PV)",
    rules: &[8, 9],
    about: "Xen flushes, then makes a page a page table by an exchange that expects the count it saw; another \
            CPU mapped it writable and unmapped it meanwhile, and can still write to it.",
    story: include_str!("xen_xsa401.md"),
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "nested-gathers",
    code: code!["xen_xsa401.rs"],
    ..Bug::race(Memory::Tso, |variant| boxed(PageType::new(variant)))
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const WRITABLE: u64 = 1;
/// What a page is, and how many uses it has as such: type and count in one word.
const TYPE_WRITABLE: u64 = 0x10;
const TYPE_PAGE_TABLE: u64 = 0x20;
const ONE: u64 = 1;

/// CPU 0 makes a page of the guest a page table, which the guest must then not be able to write. CPU 1 runs another
/// virtual CPU of the guest, which maps the page writable and unmaps it again.
#[derive(Debug)]
pub(crate) struct PageType {
    variant: Variant,
    machine: Machine,
    page: Word,
}

impl PageType {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .link(SPACE, 0)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, false)
            .build();
        Self { variant, machine, page: Word::new("type", TYPE_WRITABLE) }
    }

    fn make_page_table(&self) {
        sync::note("make the page a page table");
        let seen = self.page.load(Acquire);
        if seen != TYPE_WRITABLE {
            return;
        }
        if self.variant == Variant::Broken {
            hw::broadcast(Whose::Tag(TAG), Which::All);
        }
        if self.page.compare_exchange(seen, TYPE_PAGE_TABLE + ONE, AcqRel, Relaxed).is_err() {
            return;
        }
        if self.variant == Variant::Fixed {
            hw::broadcast(Whose::Tag(TAG), Which::All);
        }
        sync::note("check its entries, and trust them from now on");
        hw::revoke(WRITABLE);
    }

    fn map_and_unmap(&self) {
        sync::note("map the page writable");
        if self.page.compare_exchange(TYPE_WRITABLE, TYPE_WRITABLE + ONE, AcqRel, Relaxed).is_err() {
            return;
        }
        let entry = self.machine.tables.leaf(SPACE, 0);
        entry.swap(WRITABLE, AcqRel);
        sync::note("unmap it: no flush, the page stays the guest's");
        entry.swap(0, AcqRel);
        self.page.fetch_sub(ONE, AcqRel);
    }
}

impl Program for PageType {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.make_page_table();
        } else {
            self.map_and_unmap();
            sync::note("back to the guest");
            hw::user(true);
        }
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("page", &self.page);
    }
}
