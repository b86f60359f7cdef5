//! The TLB alone.

use proptest::prelude::*;
use shootdown_host::shootdown::flush::{LocalFlush, PageRange, PageSize, PageTables, VirtAddr};
use shootdown_host::shootdown::tags::{OnInstall, Tag};
use shootdown_host::{SoftTlb, Tlb};
use std::collections::HashMap;

fn pages(first: u64, count: u64) -> PageRange {
    PageRange::new(VirtAddr(first << 12), count, PageSize::Size4K).expect("a short range")
}

fn at(page: u64) -> VirtAddr {
    VirtAddr(page << 12)
}

#[test]
fn a_page_is_found_under_its_tag_alone_until_that_is_flushed() {
    let mut tlb = SoftTlb::new(8);
    tlb.insert_tagged(Tag::new(1), VirtAddr(0x5123), 'a');
    tlb.insert_tagged(Tag::new(2), VirtAddr(0x5123), 'b');
    assert_eq!(tlb.get_tagged(Tag::new(1), VirtAddr(0x5fff)), Some('a'));
    assert_eq!(tlb.get_tagged(Tag::new(2), at(5)), Some('b'));
    assert_eq!(tlb.get_tagged(Tag::new(3), at(5)), None);
    tlb.flush(LocalFlush::Pages { tag: Tag::new(1), range: pages(5, 1), tables: PageTables::Kept });
    assert_eq!(tlb.get_tagged(Tag::new(1), at(5)), None);
    assert_eq!(tlb.get_tagged(Tag::new(2), at(5)), Some('b'));
    tlb.flush(LocalFlush::KernelPages { range: pages(0, 16), tables: PageTables::Kept });
    assert_eq!(tlb.held(), 0);
}

#[test]
fn a_page_that_is_filled_again_is_never_held_twice() {
    let mut tlb = SoftTlb::new(2);
    tlb.insert(at(1), 'a');
    tlb.insert(at(2), 'b');
    tlb.insert(at(1), 'c');
    tlb.insert(at(2), 'd');
    assert_eq!((tlb.get(at(1)), tlb.get(at(2))), (Some('c'), Some('d')));
    tlb.flush_range(None, pages(1, 1));
    assert_eq!((tlb.get(at(1)), tlb.get(at(2))), (None, Some('d')));
}

#[test]
fn the_way_used_last_is_kept() {
    let mut tlb = SoftTlb::new(2);
    tlb.insert(at(1), 1);
    tlb.insert(at(2), 2);
    assert_eq!(tlb.get(at(1)), Some(1));
    tlb.insert(at(3), 3);
    assert_eq!((tlb.get(at(1)), tlb.get(at(2))), (Some(1), None));
}

#[test]
fn a_large_page_drops_all_of_its_small_ones() {
    let mut tlb = SoftTlb::new(1024);
    (0..1024).for_each(|page| tlb.insert(at(page), page));
    let second = PageRange::new(VirtAddr(2 << 20), 1, PageSize::Size2M).expect("aligned");
    tlb.flush_range(None, second);
    assert_eq!(tlb.get(at(511)), Some(511));
    assert_eq!((tlb.get(at(512)), tlb.get(at(1023)), tlb.held()), (None, None, 512));
    let top = PageRange::new(VirtAddr(u64::MAX - 0xfff), 1, PageSize::Size4K).expect("the last page");
    tlb.insert(top.start(), 7);
    tlb.flush_range(None, top);
    assert_eq!(tlb.get(top.start()), None);
}

#[test]
fn a_load_changes_the_tag_and_flushes_it_if_told() {
    let mut tlb = SoftTlb::new(8);
    tlb.load(Tag::new(1), OnInstall::Keep);
    tlb.insert(at(9), 'x');
    tlb.load(Tag::new(2), OnInstall::Flush);
    assert_eq!(tlb.get(at(9)), None);
    tlb.load(Tag::new(1), OnInstall::Keep);
    assert_eq!(tlb.get(at(9)), Some('x'));
    tlb.load(Tag::new(1), OnInstall::Flush);
    assert_eq!(tlb.held(), 0);
}

/// What is done to a TLB and to a table that forgets nothing but what is flushed.
#[derive(Clone, Debug)]
enum Step {
    Insert(u16, u64, u32),
    Range(Option<u16>, u64, u64),
    Tag(u16),
    All,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u16, 0..40_u64, any::<u32>()).prop_map(|(tag, page, value)| Step::Insert(tag, page, value)),
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
                Step::Insert(tag, page, value) => {
                    tlb.insert_tagged(Tag::new(tag), at(page), value);
                    model.insert((tag, page), value);
                    prop_assert_eq!(tlb.get_tagged(Tag::new(tag), at(page)), Some(value));
                }
                Step::Range(tag, page, count) => {
                    tlb.flush_range(tag.map(Tag::new), pages(page, count));
                    model.retain(|key: &(u16, u64), _| !((page..page + count).contains(&key.1) && tag.is_none_or(|t| t == key.0)));
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
                        prop_assert_eq!(Some(&found), model.get(&(tag, page)));
                    }
                }
            }
        }
    }
}
