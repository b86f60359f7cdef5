use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shootdown::flush::{PageSize, VirtAddr};

/// Something that a core may have cached.
#[derive(Clone, Copy, Debug)]
struct Entry {
    asid: u16,
    address: u64,
    /// Base-2 logarithm of the pair of pages that an entry maps.
    pair_shift: u32,
    global: bool,
    /// A table that the core's walker cached.
    table: bool,
}

/// Whether the manual promises that `step` drops `entry`.
fn drops(step: Step, entry: Entry) -> bool {
    let same = |page: u64| page >> entry.pair_shift == entry.address >> entry.pair_shift;
    let holds = |mut pages: Pages| !entry.table && pages.any(|page| same(page.0));
    match step {
        Step::Pages(pages, asid) => entry.asid == asid.number() && !entry.global && holds(pages),
        Step::GlobalPages(pages) => (entry.global || entry.asid == 0) && holds(pages),
        Step::Asid(asid) => entry.asid == asid.number() && !entry.global && !entry.table,
        Step::Globals => entry.global && !entry.table,
        Step::All => true,
        Step::Nothing => false,
    }
}

fn strategies() -> impl Strategy<Value = Strategies> {
    let base = prop::sample::select(&[BasePage::Size4K, BasePage::Size16K, BasePage::Size64K]);
    let kernel = prop::sample::select(&[KernelMappings::Global, KernelMappings::PerTag]);
    let walker = prop::sample::select(&[Walker::Software, Walker::Hardware]);
    let bits = prop::sample::select(&[0_u32, 8, 10, 16]);
    (base, kernel, walker, bits).prop_map(|(base, kernel, walker, bits)| {
        Strategies::new(base, kernel).with_walker(walker).with_asids(bits)
    })
}

fn range_and_address() -> impl Strategy<Value = (PageRange, u64)> {
    let sizes = [
        PageSize::Size4K,
        PageSize::Size16K,
        PageSize::Size64K,
        PageSize::Size2M,
        PageSize::Size32M,
        PageSize::Size512M,
        PageSize::Size1G,
    ];
    let anchor = prop::sample::select(&[0_u64, 0x7fff_c000_0000, u64::MAX - (1 << 38)]);
    (anchor, 0_u64..1 << 20, 1_u64..130, 0_usize..7, any::<u64>()).prop_map(
        move |(anchor, page, count, size, at)| {
            let size = sizes[size];
            let start = (anchor + (page << 12)) & !(size.bytes() - 1);
            let range = PageRange::new(VirtAddr(start), count, size).expect("a range");
            (range, start + at % (count * size.bytes()))
        },
    )
}

/// A request for pages, with tables freed or not.
fn request(range: PageRange, freed: bool) -> FlushRequest {
    let request = FlushRequest::pages(range);
    if freed { request.tables_freed() } else { request }
}

/// The smallest pair that pages of `size` may lie in.
fn smallest(strategies: &Strategies, size: PageSize) -> u32 {
    strategies.base.stride_shift(size)
}

/// The same cases in every run.
fn fixed() -> ProptestConfig {
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
        (strategies, freed) in (strategies(), any::<bool>()),
        (tag, table) in (any::<u16>(), any::<bool>()),
    ) {
        let tag = Tag::new(tag);
        // Only a walker of the core's caches tables.
        let table = table && freed && strategies.walker == Walker::Hardware;
        let (asid, pair_shift) = (strategies.asid(tag).number(), smallest(&strategies, range.size()));
        let entry = Entry { asid, address, pair_shift, global: false, table };
        let step = strategies.local(LocalFlush { tag: Some(tag), request: request(range, freed) });
        prop_assert!(drops(step, entry), "{step:?} leaves {entry:?}");
        let whole = strategies.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() });
        prop_assert!(drops(whole, entry), "{whole:?} leaves {entry:?}");
    }

    #[test]
    fn kernel_pages_go_from_every_asid(
        (range, address) in range_and_address(),
        (strategies, freed) in (strategies(), any::<bool>()),
        (asid, table) in (any::<u16>(), any::<bool>()),
    ) {
        let global = strategies.kernel == KernelMappings::Global;
        let table = table && freed && strategies.walker == Walker::Hardware;
        let entry = Entry { asid, address, pair_shift: smallest(&strategies, range.size()), global, table };
        let step = strategies.local(LocalFlush { tag: None, request: request(range, freed) });
        prop_assert!(drops(step, entry), "{step:?} leaves {entry:?}");
        prop_assert!(drops(strategies.local(LocalFlush::EVERYTHING), entry));
    }

    #[test]
    fn a_flushing_install_leaves_nothing_under_the_asid(
        (strategies, tag, address) in (strategies(), any::<u16>(), any::<u64>()),
    ) {
        let tag = Tag::new(tag);
        let root = Root::new(0x9000_0000).expect("a root");
        let plan = strategies.install(root, tag, OnInstall::Flush);
        prop_assert_eq!((plan.root, plan.asid), (root, strategies.asid(tag)));
        let table = strategies.walker == Walker::Hardware;
        let entry = Entry { asid: plan.asid.number(), address, pair_shift: 13, global: false, table };
        prop_assert!(plan.between.is_some_and(|step| drops(step, entry)), "{plan:?} leaves {entry:?}");
        let kept = strategies.install(root, tag, OnInstall::Keep);
        prop_assert_eq!(kept.between.is_none(), plan.asid != Asid::SHARED);
    }
}

fn usual() -> Strategies {
    Strategies::new(BasePage::Size16K, KernelMappings::Global).with_walker(Walker::Software).with_asids(10)
}

#[test]
fn the_usual_flush_is_one_invtlb_a_pair() {
    let tag = Tag::new(3);
    let flush = |start, count, freed| {
        let range = PageRange::new(VirtAddr(start), count, PageSize::Size16K).expect("a range");
        usual().local(LocalFlush { tag: Some(tag), request: request(range, freed) })
    };
    let asid = usual().asid(tag);
    // Three pages that begin in the middle of a pair lie in two.
    let range = PageRange::new(VirtAddr(0x1_4000), 3, PageSize::Size16K).expect("a range");
    let pages = Pages::holding(range, 15);
    assert_eq!(flush(0x1_4000, 3, false), Step::Pages(pages, asid));
    assert_eq!(flush(0x1_4000, 3, true), Step::Pages(pages, asid), "nothing caches tables");
    assert!(pages.eq([VirtAddr(0x1_0000), VirtAddr(0x1_8000)]));
    assert_eq!(pages.remaining(), 2);
    assert_eq!(flush(0, 257, false), Step::Asid(asid));
    let low = usual().with_ceiling(0);
    let one = LocalFlush { tag: Some(tag), request: FlushRequest::pages(PageRange::page(VirtAddr(0))) };
    assert_eq!(low.local(one), Step::Asid(asid));
    assert_eq!(usual().asid_bits(), 10);
}

#[test]
fn a_walker_of_the_cores_widens_what_may_have_freed_tables() {
    let hardware = usual().with_walker(Walker::Hardware);
    let (tag, range) = (Tag::new(3), PageRange::page(VirtAddr(0x5000)));
    let pages = |freed| hardware.local(LocalFlush { tag: Some(tag), request: request(range, freed) });
    assert!(matches!(pages(false), Step::Pages(..)));
    assert_eq!(pages(true), Step::All);
    assert_eq!(hardware.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() }), Step::All);
    let kernel = |freed| hardware.local(LocalFlush { tag: None, request: request(range, freed) });
    assert!(matches!(kernel(false), Step::GlobalPages(_)));
    assert_eq!(kernel(true), Step::All);
    let many = PageRange::new(VirtAddr(0), 300, PageSize::Size16K).expect("a range");
    let many = LocalFlush { tag: None, request: FlushRequest::pages(many) };
    assert_eq!(usual().local(many), Step::Globals);
}

#[test]
fn tags_that_are_no_asid_drop_everything() {
    let tag = Tag::new(0x400);
    assert_eq!(usual().asid(tag), Asid::SHARED);
    assert_eq!(usual().local(LocalFlush { tag: Some(tag), request: FlushRequest::all() }), Step::All);
    let page = LocalFlush { tag: Some(tag), request: FlushRequest::pages(PageRange::page(VirtAddr(0))) };
    assert_eq!(usual().local(page), Step::All);
}

#[test]
fn ranges_across_the_hole_are_widened() {
    let range = |start, count| PageRange::new(VirtAddr(start), count, PageSize::Size16K).expect("a range");
    let step = |strategies: Strategies, range| {
        strategies.local(LocalFlush { tag: Some(Tag::new(3)), request: FlushRequest::pages(range) })
    };
    let (below, across) = (range(0x7fff_ffff_8000, 2), range(0x7fff_ffff_8000, 3));
    assert!(matches!(step(usual(), below), Step::Pages(..)));
    assert!(matches!(step(usual(), across), Step::Asid(_)));
    assert!(matches!(step(usual().with_virtual_bits(40), below), Step::Asid(_)));
    assert!(matches!(step(usual().with_virtual_bits(57), across), Step::Pages(..)));
}

#[test]
fn contexts_are_synchronised_by_what_may_stand_for_their_request() {
    let pages = FlushRequest::pages(PageRange::page(VirtAddr(0)));
    let table = [
        (FlushRequest::contexts(), true),
        (FlushRequest::all(), true),
        (FlushRequest::all().tables_freed(), true),
        (pages, false),
        (pages.tables_freed(), false),
    ];
    for (request, syncs) in table {
        assert_eq!(Strategies::syncs_contexts(request), syncs, "{request:?}");
        for tag in [None, Some(Tag::new(3))] {
            let step = usual().local(LocalFlush { tag, request });
            assert_eq!(step == Step::Nothing, request.syncs_contexts(), "{request:?}");
        }
    }
}
