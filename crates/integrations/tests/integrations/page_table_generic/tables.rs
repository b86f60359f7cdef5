//! Entries and frames of a page table in the host's own memory.

use crate::support::{free_table, new_table};
use page_table_generic::{FrameAllocator, PageTableEntry, PhysAddr, TableMeta, VirtAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Four levels; a flush of its own would be a failure.
#[derive(Clone, Copy)]
pub struct Metadata;

impl TableMeta for Metadata {
    type P = Entry;
    const PAGE_SIZE: usize = 0x1000;
    const LEVEL_BITS: &[usize] = &[9, 9, 9, 9];
    const MAX_BLOCK_LEVEL: usize = 3;
    fn flush(_: Option<VirtAddr>) {
        panic!("the table flushed by itself");
    }
}

/// Address, flags in the low byte, and bit 62 for a huge page.
#[derive(Clone, Copy, Debug)]
pub struct Entry(u64);

const HUGE: u64 = 1 << 62;
const TABLE: u64 = 1 << 61;
const ADDRESS: u64 = 0xf_ffff_ffff_f000;

impl PageTableEntry for Entry {
    type PteConfig = u8;
    fn new_page(address: PhysAddr, flags: u8, huge: bool) -> Self {
        Self(address.as_usize() as u64 | u64::from(flags) | if huge { HUGE } else { 0 })
    }
    fn new_table(address: PhysAddr) -> Self {
        Self(address.as_usize() as u64 | TABLE)
    }
    fn paddr(&self, _: bool) -> PhysAddr {
        PhysAddr::from_usize((self.0 & ADDRESS) as usize)
    }
    fn config(&self, _: bool) -> u8 {
        self.0.to_le_bytes()[0]
    }
    fn present(&self) -> bool {
        self.0 != 0
    }
    fn huge(&self, _: bool) -> bool {
        self.0 & HUGE != 0
    }
    fn unused(&self) -> bool {
        self.0 == 0
    }
    fn clear(&mut self) {
        self.0 = 0;
    }
}

/// Tables are the host's own memory, at the same addresses, and counted.
#[derive(Clone, Default)]
pub struct Host(Arc<AtomicUsize>);

impl Host {
    /// Tables that were not given back.
    pub fn tables(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl FrameAllocator for Host {
    fn alloc_frame(&self) -> Option<PhysAddr> {
        self.0.fetch_add(1, SeqCst);
        Some(PhysAddr::from_usize(new_table()))
    }
    fn dealloc_frame(&self, address: PhysAddr) {
        self.0.fetch_sub(1, SeqCst);
        // SAFETY: 1. the page table has no other addresses.
        unsafe { free_table(address.as_usize()) };
    }
    fn phys_to_virt(&self, address: PhysAddr) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(address.as_usize())
    }
}
