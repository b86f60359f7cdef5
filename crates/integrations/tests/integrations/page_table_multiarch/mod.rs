//! Real page tables of the crate, in the host's memory: what changes is flushed by the engine, and nothing else
//! flushes.

mod tables;

use crate::support::{Did, Frame, Machine, flushed, page, running};
use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{MappingFlags, PageSize, PagingError};
use shootdown::flush::FlushRequest;
use shootdown_integrations::page_table_multiarch::{GatherError, SharedPageTable};
use tables::{Entry, Host, Metadata};

type Table = SharedPageTable<Metadata, Entry, Host>;

fn own(machine: &'static Machine) -> impl Fn(PhysAddr, PageSize) -> Frame {
    move |address, _| Frame(address.as_usize() as u64, machine)
}

#[test]
fn an_unmapped_page_is_flushed_with_its_size_before_its_frame_goes() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut table = Table::try_new().expect("a root");
    let cases = [
        (0x40_1000, PageSize::Size4K, 0x7000, page(0x40_1000, shootdown::flush::PageSize::Size4K)),
        (0x4020_0000, PageSize::Size2M, 0x20_0000, page(0x4020_0000, shootdown::flush::PageSize::Size2M)),
        (
            0x80_4000_0000,
            PageSize::Size1G,
            0x4000_0000,
            page(0x80_4000_0000, shootdown::flush::PageSize::Size1G),
        ),
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
        assert_eq!(machine.take(), [flushed(FlushRequest::pages(range)), Did::Freed(frame as u64)]);
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
    assert_eq!(
        machine.take(),
        [flushed(FlushRequest::pages(page(0x1000, shootdown::flush::PageSize::Size4K)))]
    );
}

#[test]
fn a_full_gather_refuses_before_the_entry_is_cleared() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut table = Table::try_new().expect("a root");
    let at = VirtAddr::from_usize(0x1000);
    table.map(at, PhysAddr::from_usize(0x7000), PageSize::Size4K, MappingFlags::READ).expect("a free page");
    let mut gather = engine.gather::<Frame, 0>(&user);
    assert_eq!(table.unmap(&mut gather, at, own(machine)), Err(GatherError::Full));
    assert!(table.query(at).is_ok(), "the page is still mapped");
    gather.finish();
    let mut gather = engine.gather::<Frame, 1>(&user);
    let missing = table.unmap(&mut gather, VirtAddr::from_usize(0x9000), own(machine));
    assert_eq!(missing, Err(GatherError::Paging(PagingError::NotMapped)));
    let missing = table.protect(&mut gather, VirtAddr::from_usize(0x9000), MappingFlags::READ);
    assert_eq!(missing, Err(GatherError::Paging(PagingError::NotMapped)));
    gather.finish();
    assert_eq!(machine.take(), []);
}
