use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shootdown::flush::VirtAddr;

/// Something that a CPU may have cached, of 8 KiB or of a larger page.
#[derive(Clone, Copy, Debug)]
struct Entry {
    context: u16,
    address: u64,
    /// Bytes that it maps.
    size: u64,
    global: bool,
}

/// Whether the manual promises that `step` drops `entry`.
fn drops(step: Step, entry: Entry) -> bool {
    match step {
        Step::Pages(pages, context) => {
            let same = |page: u64| page & !(entry.size - 1) == entry.address & !(entry.size - 1);
            let mine = entry.context == context.number() || entry.global;
            mine && { pages }.any(|page| same(page.0))
        }
        Step::Context(context) => entry.context == context.number() && !entry.global,
        Step::All => true,
        Step::Nothing => false,
    }
}

/// Bytes of the smallest page that the pages of `range` may be mapped by.
fn smallest(range: PageRange) -> u64 {
    match range.size() {
        PageSize::Size64K => 64 << 10,
        PageSize::Size32M => 32 << 20,
        _ => 8192,
    }
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
    let anchor = prop::sample::select(&[0_u64, 0xffff_f800_0000_0000, u64::MAX - (1 << 40)]);
    (anchor, 0_u64..1 << 20, 1_u64..400, 0_usize..7, any::<u64>()).prop_map(
        move |(anchor, page, count, size, at)| {
            let size = sizes[size];
            let start = (anchor + (page << 12)) & !(size.bytes() - 1);
            let range = PageRange::new(VirtAddr(start), count, size).expect("a range");
            (range, start + at % (count * size.bytes()))
        },
    )
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
    fn pages_of_a_tag_go((range, address) in range_and_address(), tag in any::<u16>()) {
        let strategies = Strategies::new(Machine::Sun4v);
        let tag = Tag::new(tag);
        let (context, size) = (strategies.context(tag).number(), smallest(range));
        let entry = Entry { context, address, size, global: false };
        let pages = FlushRequest::pages(range);
        for request in [pages, pages.tables_freed()] {
            let step = strategies.local(LocalFlush { tag: Some(tag), request });
            prop_assert!(drops(step, entry), "{step:?} leaves {entry:?}");
        }
        let whole = strategies.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() });
        prop_assert!(drops(whole, entry));
        prop_assert!(entry.context != 0, "the kernel's is no space's");
    }

    #[test]
    fn kernel_pages_go_and_global_ones_too((range, address) in range_and_address(), global in any::<bool>()) {
        let strategies = Strategies::new(Machine::Spitfire);
        let entry = Entry { context: 0, address, size: smallest(range), global };
        let step = strategies.local(LocalFlush { tag: None, request: FlushRequest::pages(range).tables_freed() });
        prop_assert!(drops(step, entry), "{step:?} leaves {entry:?}");
        prop_assert!(drops(strategies.local(LocalFlush::EVERYTHING), entry));
    }
}

#[test]
fn the_usual_flush_is_one_demap_a_page() {
    let strategies = Strategies::new(Machine::Cheetah(Slots::Chosen(0)));
    let tag = Tag::new(3);
    let flush = |count| {
        let range = PageRange::new(VirtAddr(0x5000), count, PageSize::Size4K).expect("a range");
        strategies.local(LocalFlush { tag: Some(tag), request: FlushRequest::pages(range) })
    };
    // One page of 4 KiB is in one of 8; two that do not begin with an even one are in two.
    let drops = |count, pages: &[u64]| {
        let Step::Pages(found, context) = flush(count) else { return false };
        context == strategies.context(tag) && found.map(|page| page.0).eq(pages.iter().copied())
    };
    assert!(drops(1, &[0x4000]) && drops(2, &[0x4000, 0x6000]));
    assert_eq!(flush(400), Step::Context(strategies.context(tag)));
    assert_eq!(strategies.machine(), Machine::Cheetah(Slots::Chosen(0)));
    let low = strategies.with_ceiling(0);
    let kernel = LocalFlush { tag: None, request: FlushRequest::pages(PageRange::page(VirtAddr(0))) };
    assert_eq!(low.local(kernel), Step::All);
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
            let step = Strategies::new(Machine::Sun4v).local(LocalFlush { tag, request });
            assert_eq!(step == Step::Nothing, request.syncs_contexts(), "{request:?}");
        }
    }
}
