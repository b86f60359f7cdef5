//! Tokens of real page tables, in memory of the test's, become flushes of the engine.

use crate::support::{Did, Frame, flushed, page as run, running};
use shootdown::flush::{FlushRequest, PageSize};
use shootdown::tags::Tag;
use shootdown_integrations::x86_64::{GatherError, MapperGather};
use x86_64::PhysAddr;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageTable, PageTableFlags, PhysFrame, Size1GiB, Size2MiB,
    Size4KiB, Translate,
};

const USER: PageTableFlags =
    PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE).union(PageTableFlags::USER_ACCESSIBLE);

/// Frames of tables are the host's own memory, at the same addresses.
struct Tables4K;

// SAFETY: each frame is fresh and never given back.
unsafe impl FrameAllocator<Size4KiB> for Tables4K {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let table = Box::leak(Box::new(PageTable::new()));
        PhysFrame::from_start_address(PhysAddr::new(std::ptr::from_mut(table) as u64)).ok()
    }
}

fn mapper() -> OffsetPageTable<'static> {
    let top = Box::leak(Box::new(PageTable::new()));
    // SAFETY: the top table is fresh, and frames are at their own addresses.
    unsafe { OffsetPageTable::new(top, x86_64::VirtAddr::new(0)) }
}

fn page<S: x86_64::structures::paging::PageSize>(address: u64) -> Page<S> {
    Page::from_start_address(x86_64::VirtAddr::new(address)).expect("an aligned address")
}

macro_rules! map {
    ($mapper:expr, $size:ty, $address:expr, $frame:expr) => {{
        let frame = PhysFrame::<$size>::from_start_address(PhysAddr::new($frame)).expect("an aligned frame");
        // SAFETY: nobody uses the tables.
        unsafe { $mapper.map_to(page::<$size>($address), frame, USER, &mut Tables4K) }.expect("a free page")
    }};
}

#[test]
fn an_unmapped_page_is_flushed_with_its_size_before_its_frame_goes() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut mapper = mapper();
    let table = [
        (0x40_0000_u64, PageSize::Size4K),
        (0x4000_0000, PageSize::Size2M),
        (0x80_0000_0000, PageSize::Size1G),
    ];
    map!(mapper, Size4KiB, table[0].0, 0x7000).ignore();
    map!(mapper, Size2MiB, table[1].0, 0x20_0000).ignore();
    map!(mapper, Size1GiB, table[2].0, 0x4000_0000).ignore();
    for (index, (address, size)) in table.into_iter().enumerate() {
        let mut gather = engine.gather::<Frame, 2>(&user);
        match index {
            0 => gather.unmap(&mut mapper, page::<Size4KiB>(address), |f| {
                Frame(f.start_address().as_u64(), machine)
            }),
            1 => gather.unmap(&mut mapper, page::<Size2MiB>(address), |f| {
                Frame(f.start_address().as_u64(), machine)
            }),
            _ => gather.unmap(&mut mapper, page::<Size1GiB>(address), |f| {
                Frame(f.start_address().as_u64(), machine)
            }),
        }
        .expect("a mapped page");
        assert_eq!(mapper.translate_addr(x86_64::VirtAddr::new(address)), None);
        assert_eq!(machine.take(), [], "nothing is flushed, and nothing given back, before the end");
        gather.finish();
        let frame = [0x7000, 0x20_0000, 0x4000_0000][index];
        assert_eq!(machine.take(), [flushed(FlushRequest::pages(run(address, size))), Did::Freed(frame)]);
    }
}

#[test]
fn a_full_gather_refuses_before_the_entry_is_cleared() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut mapper = mapper();
    map!(mapper, Size4KiB, 0x1000, 0x7000).ignore();
    map!(mapper, Size4KiB, 0x2000, 0x8000).ignore();
    let mut gather = engine.gather::<Frame, 1>(&user);
    let own = |frame: PhysFrame| Frame(frame.start_address().as_u64(), machine);
    gather.unmap(&mut mapper, page::<Size4KiB>(0x1000), own).expect("a mapped page");
    let refused = gather.unmap(&mut mapper, page::<Size4KiB>(0x2000), own);
    assert!(matches!(refused, Err(GatherError::Full(1))), "{refused:?}");
    assert!(mapper.translate_addr(x86_64::VirtAddr::new(0x2000)).is_some(), "the page is still mapped");
    let missing = engine.gather::<Frame, 1>(&user).unmap(&mut mapper, page::<Size4KiB>(0x9000), own);
    assert!(matches!(missing, Err(GatherError::Mapper(_))), "{missing:?}");
    gather.finish();
}

#[test]
fn a_token_that_finds_no_room_comes_back_with_its_frame() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut mapper = mapper();
    map!(mapper, Size4KiB, 0x1000, 0x7000).ignore();
    let (frame, token) = mapper.unmap(page::<Size4KiB>(0x1000)).expect("a mapped page");
    let frame = Frame(frame.start_address().as_u64(), machine);
    let mut none = engine.gather::<Frame, 0>(&user);
    let Err(full) = none.unmapped_by(token, frame) else { panic!("there is no room") };
    let (token, frame) = full.frame;
    let mut gather = engine.gather::<Frame, 1>(&user);
    gather.unmapped_by(token, frame).expect("room for one");
    drop(none);
    machine.take();
    gather.finish();
    assert_eq!(
        machine.take(),
        [flushed(FlushRequest::pages(run(0x1000, PageSize::Size4K))), Did::Freed(0x7000)]
    );
}

#[test]
fn a_new_mapping_flushes_nothing_and_changed_flags_do() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut mapper = mapper();
    let mut gather = engine.gather::<Frame, 1>(&user);
    gather.mapped_by(map!(mapper, Size4KiB, 0x1000, 0x7000));
    gather.finish();
    assert_eq!(machine.take(), []);
    let mut gather = engine.gather::<Frame, 1>(&user);
    // SAFETY: nobody uses the tables.
    let token = unsafe { mapper.update_flags(page::<Size4KiB>(0x1000), PageTableFlags::PRESENT) };
    gather.changed_by(token.expect("a mapped page"));
    gather.finish();
    assert_eq!(machine.take(), [flushed(FlushRequest::pages(run(0x1000, PageSize::Size4K)))]);
    let mut gather = engine.gather::<Frame, 1>(&user);
    // SAFETY: nobody uses the tables.
    let token = unsafe { mapper.set_flags_p4_entry(page::<Size4KiB>(0x1000), USER) };
    gather.changed_all_by(token.expect("a mapped page"));
    gather.finish();
    assert_eq!(
        machine.take(),
        [Did::Flushed(shootdown::flush::LocalFlush { tag: Some(Tag::NONE), request: FlushRequest::all() })]
    );
}

#[test]
fn freed_tables_wait_for_a_flush_that_reaches_walkers() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut mapper = mapper();
    map!(mapper, Size4KiB, 0x1000, 0x7000).ignore();
    let pages = Page::range_inclusive(page::<Size4KiB>(0x1000), page::<Size4KiB>(0x1000));
    let own = |frame: PhysFrame| Frame(frame.start_address().as_u64(), machine);
    let mut small = engine.gather::<Frame, 2>(&user);
    // SAFETY: 1. the tables are used here alone.
    let refused = unsafe { small.clean_up(&mut mapper, pages, own) };
    assert!(matches!(refused, Err(GatherError::Full(3))), "{refused:?}");
    small.finish();
    let mut gather = engine.gather::<Frame, 4>(&user);
    gather.unmap(&mut mapper, page::<Size4KiB>(0x1000), own).expect("a mapped page");
    // SAFETY: 1. the tables are used here alone.
    let stopped = unsafe { gather.clean_up(&mut mapper, pages, own) }.expect("room for three tables");
    assert_eq!(stopped, None);
    machine.take();
    gather.finish();
    let did = machine.take();
    assert_eq!(did[0], flushed(FlushRequest::pages(run(0x1000, PageSize::Size4K)).tables_freed()));
    assert_eq!(did.len(), 1 + 4, "a page and three tables: {did:?}");
}

#[test]
fn a_clean_up_goes_as_far_as_there_is_room_and_says_where_to_go_on() {
    let (engine, user) = running();
    let machine = engine.platform();
    let mut mapper = mapper();
    // In three GiB on both sides of the gap between the halves of the address space; twice in the second one.
    let mapped = [0x7fff_bfe0_1000, 0x7fff_c020_0000, 0x7fff_fffe_0000, 0xffff_8000_0000_0000];
    let own = |frame: PhysFrame| Frame(frame.start_address().as_u64(), machine);
    for address in mapped {
        map!(mapper, Size4KiB, address, 0x7000).ignore();
        let mut gather = engine.gather::<Frame, 1>(&user);
        gather.unmap(&mut mapper, page::<Size4KiB>(address), own).expect("a mapped page");
        gather.finish();
    }
    machine.take();
    // Each 2 MiB take Miri a second: it leaves out those of the second GiB in which nothing is mapped.
    let runs = if cfg!(miri) {
        vec![(0x7fff_bf80_0000, 0x7fff_c040_0000), (0x7fff_ffa0_0000, mapped[3])]
    } else {
        vec![(0x7fff_8000_0000, mapped[3])]
    };
    let mut stops = 0;
    for (start, end) in runs {
        let mut next = Some(page::<Size4KiB>(start));
        while let Some(start) = next {
            let mut gather = engine.gather::<Frame, 5>(&user);
            let rest = Page::range_inclusive(start, page::<Size4KiB>(end));
            // SAFETY: 1. the tables are used here alone.
            next = unsafe { gather.clean_up(&mut mapper, rest, own) }.expect("room for three tables");
            assert!(next.is_none_or(|next| next > start), "{next:?}");
            gather.finish();
            stops += usize::from(next.is_some());
        }
    }
    let freed = machine.take().into_iter().filter(|did| matches!(did, Did::Freed(_))).count();
    assert_eq!(freed, 4 + 3 + 2, "tables of level 1, 2 and 3");
    assert_eq!(stops, 2, "a gather goes on while it has room for the three tables of a page");
}
