//! The host's page table of one guest: which frame each page of guest-physical memory is in.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where guest-physical memory begins.
pub const RAM: u64 = 0x8000_0000;
/// How many pages of it there are.
pub const PAGES: u32 = 256;
/// Where it ends.
pub const RAM_END: u64 = RAM + (PAGES as u64) * 4096;

/// The table. Entries change under the mover's eyes alone; virtual CPUs read them when their TLBs miss.
pub struct Stage2 {
    entries: Box<[AtomicU64]>,
}

/// An entry: what a virtual CPU's TLB keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The frame.
    pub frame: u32,
    /// The epoch in which the guest got it.
    pub epoch: u32,
    /// Whether the guest may write: not while the page is copied.
    pub writable: bool,
}

const WRITABLE: u64 = 1 << 63;

impl Entry {
    const fn pack(self) -> u64 {
        (self.writable as u64) << 63 | (self.epoch as u64 & 0x7fff_ffff) << 32 | self.frame as u64
    }

    const fn unpack(word: u64) -> Self {
        Self { frame: word as u32, epoch: (word >> 32) as u32 & 0x7fff_ffff, writable: word & WRITABLE != 0 }
    }
}

impl Stage2 {
    /// Makes a table from the entries of all pages.
    pub fn new(entries: impl Iterator<Item = Entry>) -> Self {
        Self { entries: entries.map(|entry| AtomicU64::new(entry.pack())).collect() }
    }

    /// The page of guest-physical memory that an address is in, if it is in any.
    pub fn page_of(address: u64) -> Option<u32> {
        (RAM..RAM_END).contains(&address).then(|| ((address - RAM) >> 12) as u32)
    }

    /// Where a page begins.
    pub const fn address_of(page: u32) -> u64 {
        RAM + (page as u64) * 4096
    }

    /// The entry of a page, as it is now.
    pub fn read(&self, page: u32) -> Entry {
        // The copy of a page comes before the entry that leads to it.
        Entry::unpack(self.entries[page as usize].load(Ordering::Acquire))
    }

    /// Replaces the entry of a page and returns the one before.
    pub fn replace(&self, page: u32, entry: Entry) -> Entry {
        Entry::unpack(self.entries[page as usize].swap(entry.pack(), Ordering::AcqRel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_went_in() {
        let first = Entry { frame: 3, epoch: 0x1234, writable: true };
        let table = Stage2::new([first].into_iter());
        assert_eq!(table.read(0), first);
        let second = Entry { frame: u32::MAX, epoch: 0x7fff_ffff, writable: false };
        assert_eq!((table.replace(0, second), table.read(0)), (first, second));
    }

    #[test]
    fn only_memory_has_pages() {
        assert_eq!(Stage2::page_of(RAM - 1), None);
        assert_eq!(Stage2::page_of(RAM + 0x1fff), Some(1));
        assert_eq!(Stage2::page_of(RAM_END - 1), Some(PAGES - 1));
        assert_eq!(Stage2::page_of(RAM_END), None);
        assert_eq!(Stage2::address_of(1), RAM + 0x1000);
    }
}
