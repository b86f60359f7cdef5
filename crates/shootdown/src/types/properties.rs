//! Ranges against the set of addresses that they stand for.

extern crate std;

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const SIZES: [PageSize; 7] = [
    PageSize::Size4K,
    PageSize::Size16K,
    PageSize::Size64K,
    PageSize::Size2M,
    PageSize::Size32M,
    PageSize::Size512M,
    PageSize::Size1G,
];

/// The same cases in every run.
fn fixed() -> ProptestConfig {
    ProptestConfig {
        cases: 4096,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Addresses at both ends of the address space, at both ends of its halves, and anywhere.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..1 << 24,
        (0_u64..1 << 24).prop_map(|below| u64::MAX - below),
        (0_u64..1 << 33).prop_map(|above| 0x0000_7fff_0000_0000 + above),
        any::<u64>(),
    ]
}

fn range() -> impl Strategy<Value = PageRange> {
    let count = prop_oneof![1_u64..4, 1_u64..600, any::<u64>()];
    (address(), count, prop::sample::select(&SIZES)).prop_map(|(address, count, size)| {
        let start = address & !(size.bytes() - 1);
        // As many pages as there is room for, at most.
        let room = ((u64::MAX - start) >> size.shift()) + 1;
        let most = if start == 0 { room - 1 } else { room };
        PageRange::new(VirtAddr(start), count.clamp(1, most), size).expect("made to fit")
    })
}

fn request() -> impl Strategy<Value = FlushRequest> {
    let range = prop_oneof![8 => range().prop_map(Some), 1 => Just(None)];
    (range, any::<bool>()).prop_map(|(range, frees_tables)| {
        let request = range.map_or(FlushRequest::all(), FlushRequest::pages);
        if frees_tables { request.tables_freed() } else { request }
    })
}

/// First and last address, in numbers that cannot wrap.
fn span(range: PageRange) -> (u128, u128) {
    let start = u128::from(range.start().0);
    (start, start + u128::from(range.count()) * u128::from(range.size().bytes()) - 1)
}

fn holds(outer: PageRange, inner: PageRange) -> bool {
    let ((a, b), (c, d)) = (span(outer), span(inner));
    a <= c && d <= b
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn pages_hold_the_whole_range_and_no_page_more(range in range(), shift in 12_u32..31, skipped in 0_u64..4) {
        let ((first, last), pages) = (span(range), Pages::holding(range, shift));
        let [first, last] = [first, last].map(|address| address as u64 >> shift);
        prop_assert_eq!((pages.start().0, pages.last_page().0), (first << shift, last << shift));
        prop_assert_eq!((pages.remaining(), range.pages().remaining()), (last - first + 1, range.count()));
        let (mut taken, mut left_out) = (pages, pages);
        let count = skipped.min(pages.remaining());
        for page in first..first + count {
            prop_assert_eq!(taken.next(), Some(VirtAddr(page << shift)));
        }
        left_out.skip_pages(count);
        prop_assert_eq!(left_out, taken);
        prop_assert_eq!(Pages::of(range, PageSize::Size4K), Pages::holding(range, 12));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn a_range_is_accepted_exactly_if_it_is_aligned_and_fits(
        start in address(),
        count in prop_oneof![0_u64..4, any::<u64>()],
        size in prop::sample::select(&SIZES),
        align in any::<bool>(),
    ) {
        let start = if align { start & !(size.bytes() - 1) } else { start };
        let end = u128::from(start) + u128::from(count) * u128::from(size.bytes());
        let aligned = start % size.bytes() == 0;
        // The whole of the address space has more bytes than fit a word, and is asked for by `FlushRequest::all`.
        let fits = end <= 1 << 64 && u128::from(count) * u128::from(size.bytes()) < 1 << 64;
        let made = PageRange::new(VirtAddr(start), count, size);
        prop_assert_eq!(made.is_ok(), aligned && count > 0 && fits);
        if let Ok(made) = made {
            prop_assert_eq!((made.start().0, made.count(), made.size()), (start, count, size));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn the_page_of_an_address_holds_it(address in address()) {
        let (first, last) = span(PageRange::page(VirtAddr(address)));
        prop_assert!(first <= u128::from(address) && u128::from(address) <= last);
        prop_assert_eq!(last - first, 0xfff);
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn cover_holds_both_and_nothing_beyond_them_but_the_gap(a in range(), b in range()) {
        let both = a.cover(b);
        prop_assert!(holds(both, a) && holds(both, b));
        prop_assert_eq!(span(both).0, span(a).0.min(span(b).0));
        prop_assert_eq!(span(both).1, span(a).1.max(span(b).1));
        prop_assert_eq!(both.size().shift(), a.size().shift().min(b.size().shift()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn merging_in_any_order_gives_the_same_and_holds_all(
        ranges in prop::collection::vec(range(), 1..12),
        turn in 0_usize..12,
    ) {
        let merge = |ranges: &[PageRange]| ranges.iter().copied().reduce(PageRange::cover).expect("not empty");
        let merged = merge(&ranges);
        for range in &ranges {
            prop_assert!(holds(merged, *range), "{:?} is not in {:?}", range, merged);
        }
        let mut turned = ranges.clone();
        turned.rotate_left(turn % ranges.len());
        prop_assert_eq!(merge(&turned), merged);
        turned.reverse();
        prop_assert_eq!(merge(&turned), merged);
        prop_assert_eq!(merged.cover(merged), merged);
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn what_is_covered_with_everything_is_everything(request in request()) {
        prop_assert_eq!(request.cover(FlushRequest::all()).range(), None);
        prop_assert_eq!(FlushRequest::all().cover(request).range(), None);
        prop_assert_eq!(request.cover(request), request);
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn what_covers_two_requests_frees_tables_if_one_does(a in request(), b in request()) {
        prop_assert_eq!(a.cover(b).frees_tables(), a.frees_tables() || b.frees_tables());
        prop_assert_eq!(a.cover(b), b.cover(a));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn a_word_loses_nothing_and_widens_what_does_not_fit(request in request()) {
        prop_assert_eq!(FlushRequest::from_word(request.to_word()), request.up_to(255));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn merged_requests_fit_a_word_as_any_others(requests in prop::collection::vec(request(), 1..5)) {
        let merged = requests.into_iter().reduce(FlushRequest::cover).expect("not empty");
        prop_assert_eq!(FlushRequest::from_word(merged.to_word()), merged.up_to(255));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of cases of safe code: no pointer is made of a number here")]
    fn a_request_over_the_ceiling_is_everything(request in request(), ceiling in 0_u64..600) {
        let widened = request.up_to(ceiling);
        let fits = request.range().is_some_and(|range| range.count() <= ceiling);
        prop_assert_eq!(widened.range(), if fits { request.range() } else { None });
        prop_assert_eq!(widened.frees_tables(), request.frees_tables());
    }
}

#[test]
fn the_page_of_an_address_begins_where_pages_do() {
    for address in [0x1000, 0x1001, 0x1fff] {
        assert_eq!(PageRange::page(VirtAddr(address)).start(), VirtAddr(0x1000));
    }
}
