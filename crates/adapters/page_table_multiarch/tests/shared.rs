//! Real page tables of the crate, in the host's memory: what changes is flushed by the engine, and nothing else flushes.

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{GenericPTE, MappingFlags, PageSize, PagingError, PagingHandler, PagingMetaData};
use shootdown::{PageRange, Tables};
use shootdown_adapter_rig::{Did, Frame, Machine, flushed, running};
use shootdown_with_page_table_multiarch::{Refused, SharedPageTable};
use std::alloc::{Layout, alloc, dealloc};

/// Four levels; a flush of its own would be a failure.
struct Metadata;

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
struct Entry(u64);

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

const LAYOUT: Layout = match Layout::from_size_align(4096, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

/// Tables are the host's own memory, at the same addresses.
struct Host;

impl PagingHandler for Host {
    fn alloc_frames(count: usize, _: usize) -> Option<PhysAddr> {
        assert_eq!(count, 1);
        // SAFETY: the layout is not empty.
        Some(PhysAddr::from_usize(unsafe { alloc(LAYOUT) }.expose_provenance()))
    }
    fn dealloc_frames(address: PhysAddr, _: usize) {
        // SAFETY: `alloc_frames` made it, with this layout.
        unsafe { dealloc(std::ptr::with_exposed_provenance_mut(address.as_usize()), LAYOUT) };
    }
    fn phys_to_virt(address: PhysAddr) -> VirtAddr {
        VirtAddr::from_usize(address.as_usize())
    }
}

type Table = SharedPageTable<Metadata, Entry, Host>;

fn page(address: u64, size: shootdown::PageSize) -> PageRange {
    PageRange::new(shootdown::VirtAddr(address), 1, size).expect("an aligned address")
}

fn own(machine: &'static Machine) -> impl Fn(PhysAddr, PageSize) -> Frame {
    move |address, _| Frame(address.as_usize() as u64, machine)
}

#[test]
fn an_unmapped_page_is_flushed_with_its_size_before_its_frame_goes() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut table = Table::try_new().expect("a root");
    let cases = [
        (0x40_1000, PageSize::Size4K, 0x7000, page(0x40_1000, shootdown::PageSize::Size4K)),
        (0x4020_0000, PageSize::Size2M, 0x20_0000, page(0x4020_0000, shootdown::PageSize::Size2M)),
        (0x80_4000_0000, PageSize::Size1G, 0x4000_0000, page(0x80_4000_0000, shootdown::PageSize::Size1G)),
    ];
    for (address, size, frame, range) in cases {
        let at = VirtAddr::from_usize(address);
        table.map(at, PhysAddr::from_usize(frame), size, MappingFlags::READ).expect("a free page");
        assert_eq!(machine.take(), [], "a new mapping flushes nothing");
        let mut gather = engine.gather::<Frame, 1>(&user);
        // An address inside the page names it too.
        table.unmap(&mut gather, at + 0x123, own(machine)).expect("a mapped page");
        assert_eq!(table.query(at), Err(PagingError::NotMapped));
        assert_eq!(machine.take(), []);
        gather.finish();
        assert_eq!(machine.take(), [flushed(range, Tables::Kept), Did::Freed(frame as u64)]);
    }
}

#[test]
fn changed_flags_are_flushed_without_a_frame() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut table = Table::try_new().expect("a root");
    let at = VirtAddr::from_usize(0x1000);
    table.map(at, PhysAddr::from_usize(0x7000), PageSize::Size4K, MappingFlags::WRITE).expect("a free page");
    let mut gather = engine.gather::<Frame, 1>(&user);
    table.protect(&mut gather, at, MappingFlags::READ).expect("a mapped page");
    gather.finish();
    assert_eq!(table.query(at).map(|(_, flags, _)| flags), Ok(MappingFlags::READ));
    assert_eq!(machine.take(), [flushed(page(0x1000, shootdown::PageSize::Size4K), Tables::Kept)]);
}

#[test]
fn a_full_gather_refuses_before_the_entry_is_cleared() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut table = Table::try_new().expect("a root");
    let at = VirtAddr::from_usize(0x1000);
    table.map(at, PhysAddr::from_usize(0x7000), PageSize::Size4K, MappingFlags::READ).expect("a free page");
    let mut gather = engine.gather::<Frame, 0>(&user);
    assert_eq!(table.unmap(&mut gather, at, own(machine)), Err(Refused::Full));
    assert!(table.query(at).is_ok(), "the page is still mapped");
    gather.finish();
    let mut gather = engine.gather::<Frame, 1>(&user);
    let missing = table.unmap(&mut gather, VirtAddr::from_usize(0x9000), own(machine));
    assert_eq!(missing, Err(Refused::Paging(PagingError::NotMapped)));
    let missing = table.protect(&mut gather, VirtAddr::from_usize(0x9000), MappingFlags::READ);
    assert_eq!(missing, Err(Refused::Paging(PagingError::NotMapped)));
    gather.finish();
    assert_eq!(machine.take(), []);
}
