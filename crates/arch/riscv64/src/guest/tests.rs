use super::*;
use crate::plan::tests::{fixed, ranges, request, smallest};
use proptest::prelude::*;
use std::vec::Vec;

extern crate std;

/// Something that a hart may have cached of a guest.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// A leaf of the G-stage, or what both stages made of it.
    Page { vmid: u16, address: u64, size: u64 },
    /// A table of the G-stage.
    Table { vmid: u16 },
    /// What the guest's own tables made, in a TLB of its own.
    Own { vmid: u16 },
}

/// Whether the manual promises that `step` drops `entry`.
fn drops(guests: &Guests, step: GuestStep, entry: Entry) -> bool {
    match (step, entry) {
        (GuestStep::Pages(mut pages, dropped), Entry::Page { vmid, address, size }) => {
            dropped.number() == vmid && pages.any(|page| page.0 & !(size - 1) == address & !(size - 1))
        }
        (GuestStep::Guest(dropped), Entry::Page { vmid, .. } | Entry::Table { vmid }) => {
            dropped.number() == vmid
        }
        (GuestStep::All, Entry::Page { .. } | Entry::Table { .. }) => true,
        (GuestStep::All, Entry::Own { vmid }) => guests.split_vmids().any(|dropped| dropped.number() == vmid),
        (GuestStep::Pages(..), Entry::Table { .. })
        | (GuestStep::Pages(..) | GuestStep::Guest(_), Entry::Own { .. }) => false,
    }
}

fn guests() -> impl Strategy<Value = Guests> {
    let mode = prop::sample::select(&[GuestMode::Sv39x4, GuestMode::Sv48x4, GuestMode::Sv57x4]);
    let write = prop::sample::select(&[SatpWrite::NeedsFence, SatpWrite::OrdersWalks]);
    let tlbs = prop::sample::select(&[GuestTlbs::Split, GuestTlbs::Combined]);
    let bits = prop::sample::select(&[0_u32, 7, 14, 20]);
    (mode, bits, write, tlbs).prop_map(|(mode, bits, write, tlbs)| {
        Guests::new(mode).with_vmids(bits, write).with_tlbs(tlbs).with_sbi_fences()
    })
}

fn range_and_address() -> impl Strategy<Value = (PageRange, u64)> {
    ranges(
        &[0, 0x1ff_c000_0000, 0x3_ffff_c000_0000, 1 << 62],
        &[PageSize::Size4K, PageSize::Size64K, PageSize::Size2M, PageSize::Size1G],
    )
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    fn pages_of_a_guest_go_and_freed_tables_too(
        (range, address) in range_and_address(),
        (guests, tag, freed) in (guests(), any::<u16>(), any::<bool>()),
    ) {
        let tag = Tag::new(tag);
        let vmid = guests.vmid(tag).number();
        let step = guests.local(LocalFlush { tag: Some(tag), request: request(range, freed) });
        let whole = guests.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() });
        let page = Entry::Page { vmid, address, size: smallest(range) };
        prop_assert!(drops(&guests, step, page), "{step:?} leaves {page:?}");
        prop_assert!(drops(&guests, whole, page), "{whole:?} leaves {page:?}");
        if freed {
            prop_assert!(drops(&guests, step, Entry::Table { vmid }), "{step:?} leaves tables");
        }
    }

    #[test]
    fn remote_fences_cover_the_request(
        (range, address) in range_and_address(),
        (guests, tag, freed) in (guests(), prop::option::of(any::<u16>()), any::<bool>()),
    ) {
        let tag = tag.map(Tag::new);
        let call = guests.remote(tag, request(range, freed)).expect("firmware");
        let [mask, base, start, size, vmid] = call.arguments;
        // Function 3 is for one VMID, 4 for all: a tag that is none widens.
        prop_assert!(call.function == 4 || tag.is_some_and(|tag| vmid == u64::from(guests.vmid(tag).number())));
        prop_assert_eq!((mask, base), (0, u64::MAX));
        let all = size == u64::MAX;
        prop_assert!(all || !freed && (start..=start + (size - 1)).contains(&address));
        let whole = guests.remote(tag, FlushRequest::all()).expect("firmware");
        prop_assert_eq!(whole.arguments[3], u64::MAX);
    }

    #[test]
    fn fences_of_a_guest_hold_the_whole_span(start: u64, size in 0_u64..0x9_0000, at: u64) {
        let guests = Guests::new(GuestMode::Sv39x4);
        let asid = Asid::new(5, 9).ok();
        match guests.guest_fence(Span::Bytes { start, size }, asid) {
            GuestFence::Pages(mut pages, of) => {
                prop_assert_eq!(of, asid);
                let address = start + at % size;
                prop_assert!(pages.any(|page| page.0 == address & !0xfff), "{address:#x} is left");
            }
            whole => prop_assert_eq!(whole, GuestFence::All(asid)),
        }
    }
}

#[test]
fn the_usual_flush_is_one_fence_a_page() {
    let guests = Guests::new(GuestMode::Sv39x4).with_vmids(14, SatpWrite::OrdersWalks).with_svinval();
    let tag = Tag::new(3);
    let flush = |start, count, freed| {
        let range = PageRange::new(VirtAddr(start), count, PageSize::Size4K).expect("a range");
        guests.local(LocalFlush { tag: Some(tag), request: request(range, freed) })
    };
    let GuestStep::Pages(pages, vmid) = flush(0x8000_5000, 3, false) else {
        panic!("three pages are few");
    };
    assert_eq!(vmid.number(), 3);
    assert_eq!(pages.map(|page| page.0).collect::<Vec<_>>(), [0x8000_5000, 0x8000_6000, 0x8000_7000]);
    let whole = GuestStep::Guest(guests.vmid(tag));
    assert_eq!(flush(0, 65, false), whole);
    assert_eq!(flush(0, 1, true), whole);
    assert_eq!(flush((1 << 41) - 0x1000, 2, false), whole, "not all of them are guest physical");
    assert_eq!(
        guests.with_ceiling(0).local(LocalFlush { tag: Some(tag), request: FlushRequest::all() }),
        whole
    );
    assert_eq!((guests.vmid_bits(), guests.svinval(), guests.sbi_fences()), (14, true, false));
}

#[test]
fn a_vmid_changes_hands_with_nothing_under_it() {
    let root = GuestRoot::new(0x8020_4000).expect("a root");
    let guests = Guests::new(GuestMode::Sv48x4).with_vmids(7, SatpWrite::OrdersWalks);
    let vmid = guests.vmid(Tag::new(9));
    let plan = guests.install(root, Tag::new(9), OnInstall::Flush);
    assert_eq!(plan.before, Some(Handover { vmid, split: true }));
    assert_eq!((plan.hgatp, plan.after), (0x9000_9000_0008_0204, None));
    let combined = guests.with_tlbs(GuestTlbs::Combined).install(root, Tag::new(9), OnInstall::Flush);
    assert_eq!(combined.before, Some(Handover { vmid, split: false }));
    assert_eq!(guests.install(root, Tag::new(9), OnInstall::Keep).before, None);
    // VMID 0 is shared: it goes at each load, and again what was cached of the table that maps nothing.
    let shared = guests.install(root, Tag::new(0x80), OnInstall::Keep);
    assert_eq!(shared.before, Some(Handover { vmid: Vmid::SHARED, split: true }));
    assert_eq!(shared.after, Some(Vmid::SHARED));
    let careful = guests.with_vmids(7, SatpWrite::NeedsFence).install(root, Tag::new(9), OnInstall::Keep);
    assert_eq!((careful.before, careful.after), (None, Some(vmid)));
}

#[test]
fn all_guests_go_from_both_tlbs() {
    for bits in [0, 7, 14] {
        let guests = Guests::new(GuestMode::Sv39x4).with_vmids(bits, SatpWrite::OrdersWalks);
        let range = PageRange::page(VirtAddr(0));
        let kernel = LocalFlush { tag: None, request: FlushRequest::pages(range) };
        for step in [guests.local(LocalFlush::EVERYTHING), guests.local(kernel)] {
            let last = (1_u32 << bits) - 1;
            for vmid in [0, u16::try_from(last).expect("14 bits")] {
                assert!(
                    drops(&guests, step, Entry::Own { vmid }),
                    "{step:?} leaves VMID {vmid} of {bits} bits"
                );
            }
        }
        assert_eq!(guests.with_tlbs(GuestTlbs::Combined).split_vmids().count(), 0);
    }
}

#[test]
fn tags_that_are_no_vmid_drop_all_guests() {
    let guests = Guests::new(GuestMode::Sv39x4).with_vmids(7, SatpWrite::OrdersWalks);
    let tag = Tag::new(0x80);
    assert_eq!(guests.vmid(tag), Vmid::SHARED);
    assert_eq!(guests.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() }), GuestStep::All);
    let page = LocalFlush { tag: Some(tag), request: FlushRequest::pages(PageRange::page(VirtAddr(0))) };
    assert_eq!(guests.local(page), GuestStep::All);
    assert_eq!(guests.remote(Some(tag), FlushRequest::all()), None, "no firmware");
    let call = guests.with_sbi_fences().remote(Some(tag), FlushRequest::all());
    assert_eq!(call.map(|call| call.function), Some(4));
}

#[test]
fn fences_that_a_guest_asks_for_are_widened_and_never_narrowed() {
    let guests = Guests::new(GuestMode::Sv39x4);
    let of = |start, size| guests.guest_fence(Span::Bytes { start, size }, None);
    let pages = |start, size| match of(start, size) {
        GuestFence::Pages(pages, None) => pages.map(|page| page.0).collect::<Vec<_>>(),
        whole => panic!("{whole:?}"),
    };
    assert_eq!(pages(0x5fff, 2), [0x5000, 0x6000]);
    assert_eq!(pages(u64::MAX, 1), [u64::MAX - 0xfff]);
    for (start, size) in [(0, 0), (0x5000, 0), (u64::MAX, 2), (0, u64::MAX), (0, 65 << 12)] {
        assert_eq!(of(start, size), GuestFence::All(None), "{start:#x}, {size:#x}");
    }
    assert_eq!(guests.guest_fence(Span::All, None), GuestFence::All(None));
}

#[test]
fn a_request_for_contexts_names_no_page() {
    let guests = Guests::new(GuestMode::Sv39x4).with_vmids(14, SatpWrite::OrdersWalks).with_sbi_fences();
    let tag = Some(Tag::new(3));
    for request in [FlushRequest::contexts(), FlushRequest::all()] {
        assert_eq!(guests.local(LocalFlush { tag, request }), GuestStep::Guest(guests.vmid(Tag::new(3))));
        assert_eq!(guests.remote(tag, request), guests.remote(tag, FlushRequest::all()));
    }
}
