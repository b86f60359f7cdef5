//! The TLB alone.

use proptest::prelude::*;
use shootdown_host::shootdown::flush::{FlushRequest, LocalFlush, PageRange, PageSize, VirtAddr};
use shootdown_host::shootdown::tags::{OnInstall, Tag};
use shootdown_host::{Leaf, SoftTlb, Tlb};
use std::collections::HashMap;
use std::ops::Range;

fn pages(first: u64, count: u64) -> PageRange {
    PageRange::new(VirtAddr(first << 12), count, PageSize::Size4K).expect("a short range")
}

fn at(page: u64) -> VirtAddr {
    VirtAddr(page << 12)
}

#[test]
fn a_page_is_found_under_its_tag_alone_until_that_is_flushed() {
    let mut tlb = SoftTlb::new(8);
    tlb.insert_tagged(Tag::new(1), VirtAddr(0x5123), Leaf::page('a'));
    tlb.insert_tagged(Tag::new(2), VirtAddr(0x5123), Leaf::page('b'));
    assert_eq!(tlb.get_tagged(Tag::new(1), VirtAddr(0x5fff)), Some('a'));
    assert_eq!(tlb.get_tagged(Tag::new(2), at(5)), Some('b'));
    assert_eq!(tlb.get_tagged(Tag::new(3), at(5)), None);
    tlb.flush(LocalFlush { tag: Some(Tag::new(1)), request: FlushRequest::pages(pages(5, 1)) });
    assert_eq!(tlb.get_tagged(Tag::new(1), at(5)), None);
    assert_eq!(tlb.get_tagged(Tag::new(2), at(5)), Some('b'));
    tlb.flush(LocalFlush { tag: None, request: FlushRequest::pages(pages(0, 16)) });
    assert_eq!(tlb.held(), 0);
}

#[test]
fn a_page_that_is_filled_again_is_never_held_twice() {
    let mut tlb = SoftTlb::new(2);
    tlb.insert(at(1), Leaf::page('a'));
    tlb.insert(at(2), Leaf::page('b'));
    tlb.insert(at(1), Leaf::page('c'));
    tlb.insert(at(2), Leaf::page('d'));
    assert_eq!((tlb.get(at(1)), tlb.get(at(2))), (Some('c'), Some('d')));
    tlb.flush_range(None, pages(1, 1));
    assert_eq!((tlb.get(at(1)), tlb.get(at(2))), (None, Some('d')));
}

#[test]
fn the_way_used_last_is_kept() {
    let mut tlb = SoftTlb::new(2);
    tlb.insert(at(1), Leaf::page(1));
    tlb.insert(at(2), Leaf::page(2));
    assert_eq!(tlb.get(at(1)), Some(1));
    tlb.insert(at(3), Leaf::page(3));
    assert_eq!((tlb.get(at(1)), tlb.get(at(2))), (Some(1), None));
}

#[test]
fn a_large_page_drops_all_of_its_small_ones() {
    let mut tlb = SoftTlb::new(1024);
    (0..1024).for_each(|page| tlb.insert(at(page), Leaf::page(page)));
    let second = PageRange::new(VirtAddr(2 << 20), 1, PageSize::Size2M).expect("aligned");
    tlb.flush_range(None, second);
    assert_eq!(tlb.get(at(511)), Some(511));
    assert_eq!((tlb.get(at(512)), tlb.get(at(1023)), tlb.held()), (None, None, 512));
    let top = PageRange::new(VirtAddr(u64::MAX - 0xfff), 1, PageSize::Size4K).expect("the last page");
    tlb.insert(top.start(), Leaf::page(7));
    tlb.flush_range(None, top);
    assert_eq!(tlb.get(top.start()), None);
}

#[test]
fn a_flush_of_one_address_drops_all_that_was_cut_from_its_leaf() {
    const GIGA: u64 = 1 << 30;
    let leaves = [
        (PageSize::Size4K, GIGA),
        (PageSize::Size64K, 2 * GIGA),
        (PageSize::Size2M, 3 * GIGA),
        (PageSize::Size1G, 4 * GIGA),
    ];
    for (size, start) in leaves {
        let (last, next) = (start + size.bytes() - 4096, start + size.bytes());
        let middle = (start + size.bytes() / 2) & !0xfff;
        for flushed in [start, middle, last] {
            // Few sets and many: whether pages are looked up one by one or all are looked at.
            for entries in [4, 1024] {
                let mut tlb = SoftTlb::new(entries);
                for address in [start, last] {
                    tlb.insert_tagged(Tag::new(1), VirtAddr(address), Leaf::new(size, 'a'));
                    tlb.insert_tagged(Tag::new(2), VirtAddr(address), Leaf::new(size, 'b'));
                    tlb.flush_range(Some(Tag::new(1)), PageRange::page(VirtAddr(flushed)));
                    let found = [1, 2].map(|tag| tlb.get_tagged(Tag::new(tag), VirtAddr(address)));
                    assert_eq!(found, [None, Some('b')], "{size:?}: {address:#x} after {flushed:#x}");
                }
                tlb.flush_all();
                tlb.insert(VirtAddr(last), Leaf::new(size, 'a'));
                tlb.insert(VirtAddr(next), Leaf::page('n'));
                tlb.flush_range(None, PageRange::page(VirtAddr(next)));
                assert_eq!((tlb.get(VirtAddr(last)), tlb.get(VirtAddr(next))), (Some('a'), None), "{size:?}");
            }
        }
    }
}

#[test]
fn small_pages_that_replace_a_large_leaf_do_not_keep_it() {
    let mut tlb = SoftTlb::new(16);
    let (first, second) = (VirtAddr(0x20_0000), VirtAddr(0x20_1000));
    tlb.insert(first, Leaf::new(PageSize::Size2M, "old"));
    tlb.insert(second, Leaf::new(PageSize::Size2M, "old"));
    // The leaf is split, and one of its pages is used before the flush.
    tlb.insert(first, Leaf::page("new"));
    tlb.flush_range(None, PageRange::page(first));
    assert_eq!((tlb.get(first), tlb.get(second)), (None, None));
}

#[test]
fn a_load_changes_the_tag_and_flushes_it_if_told() {
    let mut tlb = SoftTlb::new(8);
    tlb.load(Tag::new(1), OnInstall::Keep);
    tlb.insert(at(9), Leaf::page('x'));
    tlb.load(Tag::new(2), OnInstall::Flush);
    assert_eq!(tlb.get(at(9)), None);
    tlb.load(Tag::new(1), OnInstall::Keep);
    assert_eq!(tlb.get(at(9)), Some('x'));
    tlb.load(Tag::new(1), OnInstall::Flush);
    assert_eq!(tlb.held(), 0);
}

/// A step done to a TLB and to a table that forgets nothing but what is flushed.
#[derive(Clone, Debug)]
enum Step {
    Insert(u16, u64, PageSize, u32),
    Range(Option<u16>, u64, u64),
    Tag(u16),
    All,
}

const SIZES: [PageSize; 5] =
    [PageSize::Size4K, PageSize::Size4K, PageSize::Size16K, PageSize::Size64K, PageSize::Size2M];

fn step() -> impl Strategy<Value = Step> {
    let insert = (0..3_u16, 0..40_u64, proptest::sample::select(&SIZES[..]), any::<u32>());
    prop_oneof![
        8 => insert.prop_map(|(tag, page, size, value)| Step::Insert(tag, page, size, value)),
        3 => (proptest::option::of(0..3_u16), 0..40_u64, 1..40_u64).prop_map(|(tag, page, n)| Step::Range(tag, page, n)),
        1 => (0..3_u16).prop_map(Step::Tag),
        1 => Just(Step::All),
    ]
}

/// Most steps of a case.
const STEPS: usize = if cfg!(miri) { 20 } else { 200 };

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 256 }, ..ProptestConfig::default() })]

    #[test]
    fn whatever_it_finds_was_filled_in_last_and_not_flushed_since(steps in proptest::collection::vec(step(), 1..STEPS)) {
        let mut tlb = SoftTlb::new(16);
        let mut model = HashMap::new();
        for step in steps {
            match step {
                Step::Insert(tag, page, size, value) => {
                    tlb.insert_tagged(Tag::new(tag), at(page), Leaf::new(size, value));
                    let pages = size.bytes() / 4096;
                    let first = page / pages * pages;
                    model.insert((tag, page), (value, first..first + pages));
                    prop_assert_eq!(tlb.get_tagged(Tag::new(tag), at(page)), Some(value));
                }
                Step::Range(tag, page, count) => {
                    tlb.flush_range(tag.map(Tag::new), pages(page, count));
                    let spares = |leaf: &Range<u64>| leaf.end <= page || page + count <= leaf.start;
                    model.retain(|key: &(u16, u64), held: &mut (u32, Range<u64>)| spares(&held.1) || tag.is_some_and(|tag| tag != key.0));
                }
                Step::Tag(tag) => {
                    tlb.flush_tag(Tag::new(tag));
                    model.retain(|key, _| key.0 != tag);
                }
                Step::All => {
                    tlb.flush_all();
                    model.clear();
                }
            }
            for tag in 0..3 {
                for page in 0..80 {
                    if let Some(found) = tlb.get_tagged(Tag::new(tag), at(page)) {
                        prop_assert_eq!(Some(found), model.get(&(tag, page)).map(|held| held.0));
                    }
                }
            }
        }
    }
}
