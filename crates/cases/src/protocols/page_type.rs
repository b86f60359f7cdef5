//! The type of a page is changed by compare-and-exchange, and every CPU that may still write to the page must be
//! flushed. The cases share this code; versions of Xen differ in when they flush, and for which types.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// When the change of the type flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Before the exchange.
    BeforeExchange,
    /// After the exchange.
    AfterExchange,
    /// After the exchange, if the new type is the writable one.
    AfterExchangeToWritable,
}

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
    flush: Flush,
    machine: Machine,
    page: Word,
}

impl PageType {
    pub(crate) fn model(flush: Flush) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .link(SPACE, 0)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, false);
        machine.runs(|machine| Self { flush, machine, page: Word::new("page.type", TYPE_WRITABLE) })
    }

    fn make_page_table(&self) {
        sync::note("make the page a page table");
        let seen = self.page.load(Acquire);
        if seen != TYPE_WRITABLE {
            return;
        }
        if self.flush == Flush::BeforeExchange {
            hw::broadcast(Whose::Tag(TAG), Which::All);
        }
        let new = TYPE_PAGE_TABLE + ONE;
        if self.page.compare_exchange(seen, new, AcqRel, Relaxed).is_err() {
            return;
        }
        let to_writable = new & TYPE_WRITABLE != 0;
        if self.flush == Flush::AfterExchange || self.flush == Flush::AfterExchangeToWritable && to_writable {
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
}
