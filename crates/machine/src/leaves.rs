//! Leaves of several sizes. A large leaf maps all pages of its table at once: a root entry that maps by itself, or a
//! group of entries that hardware may take for one.
//!
//! It is a value like any other, of a translation that says so. A walker that meets the value in a slot of a table may
//! hold it for each page of that table. What a flush of one address drops of it depends on the TLB: an entry that
//! covers the leaf goes as a whole, and where a TLB holds the leaf in pieces, the piece of that address goes alone.

use crate::config::Builder;
use crate::hw::{WalkCache, Which};
use crate::limits::SLOTS;
use crate::machine::Machine;
use crate::state::Local;
use std::ops::Range;

impl Builder {
    /// Adds a [translation](Self::translation) of a large leaf, which allows writes; it maps all pages of the table
    /// that has it.
    pub fn large(self, frame: usize, space: Option<usize>) -> Self {
        let mut with_value = self.translation(frame, space, true);
        with_value.large |= 1 << with_value.translations.len();
        with_value
    }

    /// Has TLBs hold large leaves page by page, and drop of them no more than the page that a flush names. Emulators
    /// do, and IOMMUs may: who flushes then has to name every page.
    pub fn splintered_leaves(mut self) -> Self {
        self.splinters = true;
        self
    }
}

impl Machine {
    /// Lets `local` hold `read`, which its walker found in the slot of `page`.
    pub(crate) fn hold(&self, local: &mut Local, tag: usize, page: usize, read: u16) {
        local.tlb[tag][page] |= read;
        let large = read & self.config.large;
        if large != 0 {
            table_of(page).for_each(|page| local.tlb[tag][page] |= large);
        }
    }

    /// Drops `values` of `page`, and whole leaves with them.
    pub(crate) fn drop_page(&self, local: &mut Local, tag: usize, page: usize, values: u16) {
        let held = local.tlb[tag][page] & values;
        local.tlb[tag][page] &= !values;
        let large = held & self.config.large;
        if large != 0 && !self.config.splinters {
            table_of(page).for_each(|page| local.tlb[tag][page] &= !large);
        }
    }

    /// Drops `page`, and the cached upper levels or not.
    pub(crate) fn flush_page(&self, local: &mut Local, tag: usize, page: usize, walk: WalkCache) {
        self.drop_page(local, tag, page, u16::MAX);
        self.drop_first_stage(local, tag as u8, Which::Page(page, walk));
        if walk == WalkCache::Drop {
            local.walk[tag] = 0;
        }
    }

    /// The slots of a table, one of which may map `page` as `value`.
    pub(crate) fn slots_for(&self, page: usize, value: usize) -> Range<usize> {
        let slot = page % SLOTS;
        if self.config.large >> value & 1 != 0 { 0..SLOTS } else { slot..slot + 1 }
    }
}

/// The pages of the table that maps `page`.
fn table_of(page: usize) -> Range<usize> {
    let first = page / SLOTS * SLOTS;
    first..first + SLOTS
}
