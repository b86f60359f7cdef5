//! Translations: page tables, the TLBs that hold copies of them, and the staleness check.

use super::lines::NumberMap;

/// A run of pages of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Number of the first page.
    pub first: u64,
    /// How many; 0 for the whole space.
    pub count: u64,
}

/// Marks the number of a large page among page numbers. It maps what 1 << [`LARGE_SHIFT`] small ones would, with one
/// entry.
pub const LARGE: u64 = 1 << 58;
/// Small pages of a large one, as a shift.
pub const LARGE_SHIFT: u32 = 9;

impl Pages {
    /// The whole space.
    pub const ALL: Self = Self { first: 0, count: 0 };

    /// Whether `page` is one of them.
    pub fn holds(self, page: u64) -> bool {
        self.count == 0 || page.wrapping_sub(self.first) < self.count
    }
}

/// Whether tables are given back, besides what they map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageTables {
    /// They stay.
    Kept,
    /// They go.
    Freed,
}

/// What became of a translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the page tables.
    Mapped,
    /// It was taken out; the flush that covers it is not complete.
    Held,
    /// The flush was said to be complete.
    Gone,
}

/// One state of one page-table entry; a changed entry is another translation.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) space: u32,
    pub(super) page: u64,
    pub(super) fate: Fate,
    /// CPUs whose TLB holds it.
    pub(super) holders: Vec<u32>,
}

/// One CPU's TLB: by tag and page, numbers of translations. It has room for all.
#[derive(Debug, Default)]
pub(super) struct Tlb {
    tags: NumberMap<u16, NumberMap<u64, u32>>,
}

impl Tlb {
    pub(super) fn find(&self, tag: u16, page: u64) -> Option<u32> {
        self.of(tag)?.get(&page).copied()
    }

    pub(super) fn of(&self, tag: u16) -> Option<&NumberMap<u64, u32>> {
        self.tags.get(&tag)
    }

    pub(super) fn fill(&mut self, tag: u16, page: u64, translation: u32) -> Option<u32> {
        self.tags.entry(tag).or_default().insert(page, translation)
    }

    /// Drops entries under `tag`, and returns what they held, in no order that matters.
    pub(super) fn drop_pages(&mut self, tag: u16, pages: Pages) -> Vec<u32> {
        if pages.count == 0 {
            // Not emptied but taken out: a kernel may use any number of tags once.
            return self
                .tags
                .remove(&tag)
                .into_iter()
                .flatten()
                .map(|(_, translation)| translation)
                .collect();
        }
        let Some(entries) = self.tags.get_mut(&tag) else { return Vec::new() };
        if pages.count <= entries.len() as u64 {
            return (pages.first..pages.first + pages.count)
                .filter_map(|page| entries.remove(&page))
                .collect();
        }
        let mut dropped = Vec::new();
        entries.retain(|&page, &mut translation| {
            let goes = pages.holds(page);
            if goes {
                dropped.push(translation);
            }
            !goes
        });
        dropped
    }

    /// Drops everything.
    pub(super) fn drop_all(&mut self) -> Vec<u32> {
        self.tags.drain().flat_map(|(_, entries)| entries).map(|(_, translation)| translation).collect()
    }
}
