//! Entries and frames of a page table in the host's own memory.

use crate::support::{free_table, new_table};
use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{GenericPTE, MappingFlags, PagingHandler, PagingMetaData};

/// Four levels; a flush of its own would be a failure.
pub struct Metadata;

impl PagingMetaData for Metadata {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;
    fn flush_tlb(_: Option<VirtAddr>) {
        panic!("the table flushed by itself");
    }
}

/// Address, flags, and bit 62 for a huge page.
#[derive(Clone, Copy, Debug)]
pub struct Entry(u64);

const HUGE: u64 = 1 << 62;
const TABLE: u64 = 1 << 61;

impl GenericPTE for Entry {
    fn new_page(address: PhysAddr, flags: MappingFlags, huge: bool) -> Self {
        Self(address.as_usize() as u64 | flags.bits() as u64 & 0xfff | if huge { HUGE } else { 0 })
    }
    fn new_table(address: PhysAddr) -> Self {
        Self(address.as_usize() as u64 | TABLE)
    }
    fn paddr(&self) -> PhysAddr {
        PhysAddr::from_usize((self.0 & 0xf_ffff_ffff_f000) as usize)
    }
    fn flags(&self) -> MappingFlags {
        MappingFlags::from_bits_truncate((self.0 & 0xfff) as usize)
    }
    fn set_paddr(&mut self, address: PhysAddr) {
        self.0 = self.0 & !0xf_ffff_ffff_f000 | address.as_usize() as u64;
    }
    fn set_flags(&mut self, flags: MappingFlags, _: bool) {
        self.0 = self.0 & !0xfff | flags.bits() as u64 & 0xfff;
    }
    fn bits(self) -> usize {
        self.0 as usize
    }
    fn is_unused(&self) -> bool {
        self.0 == 0
    }
    fn is_present(&self) -> bool {
        self.0 != 0
    }
    fn is_huge(&self) -> bool {
        self.0 & HUGE != 0
    }
    fn clear(&mut self) {
        self.0 = 0;
    }
}

/// Tables are the host's own memory, at the same addresses.
pub struct Host;

impl PagingHandler for Host {
    fn alloc_frames(count: usize, _: usize) -> Option<PhysAddr> {
        assert_eq!(count, 1);
        Some(PhysAddr::from_usize(new_table()))
    }
    fn dealloc_frames(address: PhysAddr, _: usize) {
        // SAFETY: 1. the page table has no other addresses.
        unsafe { free_table(address.as_usize()) };
    }
    fn phys_to_virt(address: PhysAddr) -> VirtAddr {
        VirtAddr::from_usize(address.as_usize())
    }
}
