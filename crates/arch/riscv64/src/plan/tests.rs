use super::*;
use crate::encode::asid_of;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shootdown::flush::VirtAddr;

/// Something that a hart may have cached.
#[derive(Clone, Copy, Debug)]
struct Entry {
    asid: u16,
    address: u64,
    /// Bytes that the leaf maps.
    size: u64,
    global: bool,
    /// Of a table above the leaf.
    table: bool,
}

/// Whether the manual promises that `step` drops `entry`.
fn drops(step: Step, entry: Entry) -> bool {
    let same = |page: u64| page & !(entry.size - 1) == entry.address & !(entry.size - 1);
    let holds = |mut pages: Pages| !entry.table && pages.any(|page| same(page.0));
    match step {
        Step::Pages(pages, asid) => entry.asid == asid.number() && !entry.global && holds(pages),
        Step::PagesOfAll(pages) => holds(pages),
        Step::Asid(asid) => entry.asid == asid.number() && !entry.global,
        Step::All => true,
        Step::Nothing => false,
    }
}

/// Bytes of the smallest page that the pages of `range` may be mapped by.
pub(crate) fn smallest(range: PageRange) -> u64 {
    match range.size() {
        PageSize::Size2M => 2 << 20,
        PageSize::Size1G => 1 << 30,
        _ => 4096,
    }
}

fn strategies() -> impl Strategy<Value = Strategies> {
    let mode = prop::sample::select(&[Mode::Sv39, Mode::Sv48, Mode::Sv57]);
    let satp_write = prop::sample::select(&[SatpWrite::NeedsFence, SatpWrite::OrdersWalks]);
    let bits = prop::sample::select(&[0_u32, 9, 16, 20]);
    (mode, bits, satp_write)
        .prop_map(|(mode, bits, write)| Strategies::new(mode).with_asids(bits, write).with_sbi_fences())
}

const SIZES: &[PageSize] = &[
    PageSize::Size4K,
    PageSize::Size16K,
    PageSize::Size64K,
    PageSize::Size2M,
    PageSize::Size32M,
    PageSize::Size512M,
    PageSize::Size1G,
];
const ANCHORS: &[u64] = &[0, 0x3f_c000_0000, 0x7fff_c000_0000, u64::MAX - (1 << 38)];

fn range_and_address() -> impl Strategy<Value = (PageRange, u64)> {
    ranges(ANCHORS, SIZES)
}

/// A range of pages of one of the sizes, not far from an anchor, and an address in it.
pub(crate) fn ranges(
    anchors: &'static [u64],
    sizes: &'static [PageSize],
) -> impl Strategy<Value = (PageRange, u64)> {
    let (anchor, size) = (prop::sample::select(anchors), prop::sample::select(sizes));
    (anchor, 0_u64..1 << 20, 1_u64..130, size, any::<u64>()).prop_map(|(anchor, page, count, size, at)| {
        let start = (anchor + (page << 12)) & !(size.bytes() - 1);
        let range = PageRange::new(VirtAddr(start), count, size).expect("a range");
        (range, start + at % (count * size.bytes()))
    })
}

/// A request for pages, with tables freed or not.
pub(crate) fn request(range: PageRange, tables: bool) -> FlushRequest {
    let pages = FlushRequest::pages(range);
    if tables { pages.tables_freed() } else { pages }
}

/// The same cases in every run.
pub(crate) fn fixed() -> ProptestConfig {
    ProptestConfig {
        cases: 2048,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    fn pages_of_a_tag_go_and_freed_tables_too(
        (range, address) in range_and_address(),
        (strategies, tables) in (strategies(), any::<bool>()),
        (tag, table) in (any::<u16>(), any::<bool>()),
    ) {
        let tag = Tag::new(tag);
        let step = strategies.local(LocalFlush { tag: Some(tag), request: request(range, tables) });
        let table = table && tables;
        let (asid, size) = (strategies.asid(tag).number(), smallest(range));
        let entry = Entry { asid, address, size, global: false, table };
        prop_assert!(drops(step, entry), "{step:?} leaves {entry:?}");
        let whole = strategies.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() });
        prop_assert!(drops(whole, entry), "{whole:?} leaves {entry:?}");
    }

    #[test]
    fn kernel_pages_go_from_every_asid(
        (range, address) in range_and_address(),
        (strategies, tables) in (strategies(), any::<bool>()),
        (asid, global, table) in (any::<u16>(), any::<bool>(), any::<bool>()),
    ) {
        let step = strategies.local(LocalFlush { tag: None, request: request(range, tables) });
        let size = smallest(range);
        let entry = Entry { asid, address, size, global, table: table && tables };
        prop_assert!(drops(step, entry), "{step:?} leaves {entry:?}");
        prop_assert!(drops(strategies.local(LocalFlush::EVERYTHING), entry));
    }

    #[test]
    fn remote_fences_cover_the_request(
        (range, address) in range_and_address(),
        (strategies, tables, tag) in (strategies(), any::<bool>(), prop::option::of(any::<u16>())),
    ) {
        let tag = tag.map(Tag::new);
        let call = strategies.remote(tag, request(range, tables)).expect("firmware");
        let [mask, base, start, size, asid] = call.arguments;
        // Function 2 is for one ASID, 1 for all: a tag that is none widens.
        prop_assert!(call.function == 1 || tag.is_some_and(|tag| asid == u64::from(strategies.asid(tag).number())));
        prop_assert_eq!((mask, base), (0, u64::MAX));
        let all = size == u64::MAX;
        prop_assert!(all || !tables && (start..=start + (size - 1)).contains(&address));
        let whole = strategies.remote(tag, FlushRequest::all()).expect("firmware");
        prop_assert_eq!(whole.arguments[3], u64::MAX);
    }

    #[test]
    fn a_flushing_install_leaves_nothing_under_the_asid_and_never_walks_what_it_drops(
        (strategies, tag, current) in (strategies(), any::<u16>(), any::<u16>()),
    ) {
        let (tag, current) = (Tag::new(tag), strategies.asid(Tag::new(current)));
        let root = Root::new(0x8020_0000).expect("a root");
        let asid = strategies.asid(tag);
        let plan = strategies.install(root, tag, OnInstall::Flush, current);
        prop_assert_eq!(asid_of(plan.satp), asid);
        prop_assert_eq!(plan.after, Some(asid));
        prop_assert_eq!(plan.before, (asid != current).then_some(asid));
    }
}

#[test]
fn keeping_needs_a_satp_write_that_orders_walks() {
    let root = Root::new(0x8020_0000).expect("a root");
    let strategies = Strategies::new(Mode::Sv39).with_asids(16, SatpWrite::OrdersWalks);
    let keep =
        |strategies: Strategies, tag| strategies.install(root, Tag::new(tag), OnInstall::Keep, Asid::SHARED);
    let plan = keep(strategies, 5);
    assert_eq!((plan.before, plan.after), (None, None));
    let careful = keep(strategies.with_asids(16, SatpWrite::NeedsFence), 5);
    assert_eq!((careful.before, careful.after), (None, Some(strategies.asid(Tag::new(5)))));
    // ASID 0 is shared, so it is flushed whatever is asked.
    assert_eq!(keep(strategies, 0).after, Some(Asid::SHARED));
}

#[test]
fn the_usual_flush_is_one_fence_a_page() {
    let strategies = Strategies::new(Mode::Sv39).with_asids(16, SatpWrite::OrdersWalks).with_svinval();
    let tag = Tag::new(3);
    let flush = |count, tables| {
        let range = PageRange::new(VirtAddr(0x5000), count, PageSize::Size4K).expect("a range");
        strategies.local(LocalFlush { tag: Some(tag), request: request(range, tables) })
    };
    let pages = PageRange::new(VirtAddr(0x5000), 64, PageSize::Size4K).expect("a range").pages();
    assert_eq!(flush(64, false), Step::Pages(pages, strategies.asid(tag)));
    assert_eq!(
        (pages.remaining(), { pages }.next(), { pages }.last()),
        (64, Some(VirtAddr(0x5000)), Some(VirtAddr(0x4_4000)))
    );
    assert_eq!(flush(65, false), Step::Asid(strategies.asid(tag)));
    assert_eq!(flush(1, true), Step::Asid(strategies.asid(tag)));
    assert_eq!((strategies.asid_bits(), strategies.svinval()), (16, true));
    let low = strategies.with_ceiling(0);
    let one = LocalFlush { tag: Some(tag), request: FlushRequest::pages(PageRange::page(VirtAddr(0))) };
    assert_eq!(low.local(one), Step::Asid(strategies.asid(tag)));
}

#[test]
fn tags_that_are_no_asid_drop_everything() {
    let strategies = Strategies::new(Mode::Sv39).with_asids(9, SatpWrite::OrdersWalks);
    let tag = Tag::new(0x200);
    assert_eq!(strategies.asid(tag), Asid::SHARED);
    assert_eq!(strategies.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() }), Step::All);
    let page = LocalFlush { tag: Some(tag), request: FlushRequest::pages(PageRange::page(VirtAddr(0))) };
    assert_eq!(strategies.local(page), Step::All);
    assert_eq!(Strategies::new(Mode::Sv39).remote(None, FlushRequest::all()), None);
    assert_eq!(
        strategies.with_sbi_fences().remote(Some(tag), FlushRequest::all()).map(|call| call.function),
        Some(1)
    );
    assert!(strategies.with_sbi_fences().sbi_fences() && !strategies.sbi_fences());
}

#[test]
fn contexts_are_synchronised_by_what_may_stand_for_their_request() {
    let strategies = Strategies::new(Mode::Sv39).with_asids(16, SatpWrite::OrdersWalks).with_sbi_fences();
    let pages = FlushRequest::pages(PageRange::page(VirtAddr(0)));
    let table = [
        (FlushRequest::contexts(), [true, true]),
        (FlushRequest::all(), [true, false]),
        (FlushRequest::all().tables_freed(), [true, false]),
        (pages, [false, false]),
        (pages.tables_freed(), [false, false]),
    ];
    for (request, syncs) in table {
        let either = [strategies, strategies.without_code_changes()];
        assert_eq!(either.map(|strategies| strategies.syncs_contexts(request)), syncs, "{request:?}");
        for tag in [None, Some(Tag::new(3))] {
            let step = strategies.local(LocalFlush { tag, request });
            assert_eq!(step == Step::Nothing, request.syncs_contexts(), "{request:?}");
            let function = strategies.remote(tag, request).map(|call| call.function);
            assert_eq!(function == Some(0), request.syncs_contexts(), "{request:?}");
        }
    }
    let root = Root::new(0x8020_0000).expect("a root");
    let installs =
        |strategies: Strategies, how| strategies.install(root, Tag::new(3), how, Asid::SHARED).syncs_contexts;
    assert!(installs(strategies, OnInstall::Flush) && !installs(strategies, OnInstall::Keep));
    assert!(!installs(strategies.without_code_changes(), OnInstall::Flush));
}
