//! Real page tables of the crate, in the host's memory: what changes is flushed by the engine, and nothing else
//! flushes.

mod tables;

use crate::support::{Did, Frame, Machine, flushed, page, running};
use page_table_generic::{MapConfig, PagingError, PhysAddr, VirtAddr};
use shootdown::flush::FlushRequest;
use shootdown_integrations::page_table_generic::{GatherError, Held, SharedPageTable};
use tables::{Host, Metadata};

type Table = SharedPageTable<Metadata, Host>;
type HeldFrame = Held<Frame, Host>;

fn at(address: usize) -> VirtAddr {
    VirtAddr::from_usize(address)
}

fn map(table: &mut Table, address: usize, frame: usize, size: usize) {
    let (vaddr, paddr) = (at(address), PhysAddr::from_usize(frame));
    let request = MapConfig { vaddr, paddr, size, pte: 3, allow_huge: size > 0x1000, flush: true };
    table.map(&request).expect("a free page");
}

fn own(machine: &'static Machine) -> impl Fn(PhysAddr, usize) -> Frame {
    move |address, _| Frame(address.as_usize() as u64, machine)
}

#[test]
fn frame_and_empty_tables_go_after_a_flush_that_reaches_walkers() {
    let (engine, user) = running();
    let machine = engine.platform();
    let tables = Host::default();
    let mut table = Table::new(tables.clone()).expect("a root");
    map(&mut table, 0x40_1000, 0x7000, 0x1000);
    assert_eq!((machine.take(), tables.tables()), (vec![], 4), "a new mapping flushes nothing");
    let mut gather = engine.gather::<HeldFrame, 2>(&user);
    table.unmap(&mut gather, at(0x40_1123), own(machine)).expect("a mapped page");
    assert_eq!(table.query(at(0x40_1000)), Err(PagingError::NotMapped));
    assert_eq!((machine.take(), tables.tables()), (vec![], 4), "nothing is given back before the end");
    gather.finish();
    let flush =
        flushed(FlushRequest::pages(page(0x40_1000, shootdown::flush::PageSize::Size4K)).tables_freed());
    assert_eq!(machine.take(), [flush, Did::Freed(0x7000)]);
    assert_eq!(tables.tables(), 1, "the root is left");
}

#[test]
fn a_table_that_is_still_used_stays_and_large_pages_flush_as_such() {
    let (engine, user) = running();
    let machine = engine.platform();
    let tables = Host::default();
    let mut table = Table::new(tables.clone()).expect("a root");
    map(&mut table, 0x4020_0000, 0x20_0000, 0x20_0000);
    map(&mut table, 0x4040_0000, 0x40_0000, 0x20_0000);
    let before = tables.tables();
    let mut gather = engine.gather::<HeldFrame, 2>(&user);
    table.unmap(&mut gather, at(0x4020_0000), own(machine)).expect("a mapped page");
    gather.finish();
    let flush = flushed(FlushRequest::pages(page(0x4020_0000, shootdown::flush::PageSize::Size2M)));
    assert_eq!(machine.take(), [flush, Did::Freed(0x20_0000)]);
    assert_eq!(tables.tables(), before);
}

#[test]
fn changed_flags_are_flushed_without_a_frame() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut table = Table::new(Host::default()).expect("a root");
    map(&mut table, 0x1000, 0x7000, 0x1000);
    let mut gather = engine.gather::<HeldFrame, 2>(&user);
    table.protect(&mut gather, at(0x1000), 1).expect("a mapped page");
    gather.finish();
    assert_eq!(table.query(at(0x1000)).map(|(_, flags, _)| flags), Ok(1));
    assert_eq!(
        machine.take(),
        [flushed(FlushRequest::pages(page(0x1000, shootdown::flush::PageSize::Size4K)))]
    );
}

#[test]
fn a_gather_without_room_for_tables_refuses_before_the_entry_is_cleared() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut table = Table::new(Host::default()).expect("a root");
    map(&mut table, 0x1000, 0x7000, 0x1000);
    let mut gather = engine.gather::<HeldFrame, 1>(&user);
    assert_eq!(table.unmap(&mut gather, at(0x1000), own(machine)), Err(GatherError::Full));
    assert!(table.query(at(0x1000)).is_ok(), "the page is still mapped");
    gather.finish();
    let mut gather = engine.gather::<HeldFrame, 2>(&user);
    let missing = table.unmap(&mut gather, at(0x9000), own(machine));
    assert_eq!(missing, Err(GatherError::Paging(PagingError::NotMapped)));
    gather.finish();
    assert_eq!(machine.take(), []);
}
