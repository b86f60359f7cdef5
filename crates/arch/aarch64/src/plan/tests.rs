use super::*;
use crate::encode::{Granule, Width, asid_of};
use crate::ops::{Form, Tlbi};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shootdown::flush::{PageSize, VirtAddr};

/// Something that a CPU may have cached.
#[derive(Clone, Copy, Debug)]
struct Entry {
    asid: u16,
    address: u64,
    global: bool,
    /// Of a table above the leaf.
    table: bool,
}

/// Whether the manual promises that `op` drops `entry`, whose leaf maps `size` bytes. A range that names another
/// granule than that of the tables drops nothing.
fn drops(op: Tlbi, granule: Granule, size: u64, entry: Entry) -> bool {
    let Tlbi { form, operand } = op;
    let asid = (operand >> 48) as u16;
    let page = (operand & ((1 << 44) - 1)) << 12;
    let address = entry.address & ((1 << 56) - 1);
    let va = page & !(size - 1) == address & !(size - 1);
    let range = {
        let base = (((operand << 27) as i64 >> 27) << granule.shift()) as u64 & ((1 << 56) - 1);
        let granules = ((operand >> 39 & 31) + 1) << (5 * (operand >> 44 & 3) + 1);
        let named = match granule {
            Granule::Size4K => 0b01,
            Granule::Size16K => 0b10,
            Granule::Size64K => 0b11,
        };
        operand >> 46 & 0b11 == named
            && (base..=base + ((granules << granule.shift()) - 1)).contains(&address)
    };
    let mine = asid == entry.asid || entry.global;
    match form {
        Form::Va => va && mine,
        Form::VaLeaf => va && mine && !entry.table,
        Form::VaAll => va,
        Form::VaAllLeaf => va && !entry.table,
        Form::Range => range && mine,
        Form::RangeLeaf => range && mine && !entry.table,
        Form::RangeAll => range,
        Form::RangeAllLeaf => range && !entry.table,
        Form::Asid => asid == entry.asid && !entry.global,
        Form::All => true,
    }
}

fn strategies() -> impl Strategy<Value = Strategies> {
    let granule = prop::sample::select(&[Granule::Size4K, Granule::Size16K, Granule::Size64K]);
    let asid = prop::sample::select(&[Width::Bits8, Width::Bits16]);
    let asid_in = prop::sample::select(&[AsidIn::Ttbr0, AsidIn::Ttbr1]);
    (granule.clone(), granule, asid, asid_in, any::<bool>(), any::<bool>()).prop_map(
        |(granule, upper_granule, asid, asid_in, wide, ranges)| {
            let features = Features { asid, vmid: Width::Bits8, ranges, level_hints: true };
            let translation = Translation { granule, upper_granule, asid, asid_in, wide };
            Strategies::choose(&features, translation, Errata::None)
        },
    )
}

/// A range, an address in it, and the size of its pages.
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
    let anchor = prop::sample::select(&[0_u64, 0xffff_0000_0000_0000, u64::MAX - (1 << 45)]);
    let count = prop_oneof![1_u64..10, 500_u64..530, 1_u64..5000];
    (anchor, 0_u64..1 << 20, count, 0_usize..7, any::<u64>()).prop_map(
        move |(anchor, page, count, size, at)| {
            let size = sizes[size];
            let start = (anchor + (page << 12)) & !(size.bytes() - 1);
            let range = PageRange::new(VirtAddr(start), count, size).expect("a range");
            (range, start + at % (count * size.bytes()))
        },
    )
}

fn request(range: PageRange, tables: bool) -> FlushRequest {
    let pages = FlushRequest::pages(range);
    if tables { pages.tables_freed() } else { pages }
}

fn covered(strategies: &Strategies, range: PageRange, mut ops: Ops, entry: Entry) -> bool {
    let translation = strategies.translation();
    // The upper half of addresses, a tag apart, is the other register's.
    let upper = entry.address & 1 << 55 != 0;
    let granule = if upper { translation.upper_granule } else { translation.granule };
    // The smallest leaf that may map the pages of the range: runs of contiguous entries have a leaf each.
    let size = match (granule, range.size()) {
        (Granule::Size4K, PageSize::Size2M | PageSize::Size32M) => 2 << 20,
        (Granule::Size4K, PageSize::Size1G) => 1 << 30,
        (Granule::Size16K, PageSize::Size32M | PageSize::Size1G) => 32 << 20,
        (Granule::Size64K, PageSize::Size512M) => 512 << 20,
        _ => 1 << granule.shift(),
    };
    ops.any(|op| drops(op, granule, size, entry))
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
        (strategies, tables) in (strategies(), any::<bool>()),
        (tag, table) in (any::<u16>(), any::<bool>()),
    ) {
        let tag = Tag::new(tag);
        let table = table && tables;
        let entry = Entry { asid: strategies.asid(tag).number(), address, global: false, table };
        let ops = strategies.local(LocalFlush { tag: Some(tag), request: request(range, tables) });
        prop_assert!(covered(&strategies, range, ops, entry), "{ops:?} leaves {entry:?}");
        let whole = strategies.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() });
        prop_assert!(covered(&strategies, range, whole, entry));
        prop_assert!(ops.count() <= 512);
        // The two ways to go through them agree.
        let mut one_by_one = ops;
        ops.for_each(|op| assert_eq!(one_by_one.next(), Some(op)));
        prop_assert_eq!(one_by_one.next(), None);
        let remote = strategies.remote(Some(tag), request(range, tables)).expect("broadcasts");
        prop_assert!(covered(&strategies, range, remote, entry), "{remote:?} leaves {entry:?}");
        let whole = strategies.remote(Some(tag), FlushRequest::all()).expect("broadcasts");
        prop_assert!(covered(&strategies, range, whole, entry));
    }

    #[test]
    fn kernel_pages_and_broadcasts_reach_every_asid(
        (range, address) in range_and_address(),
        (strategies, tables) in (strategies(), any::<bool>()),
        (asid, global, table) in (any::<u16>(), any::<bool>(), any::<bool>()),
    ) {
        let entry = Entry { asid, address, global, table: table && tables };
        let local = strategies.local(LocalFlush { tag: None, request: request(range, tables) });
        prop_assert!(covered(&strategies, range, local, entry), "{local:?} leaves {entry:?}");
        let remote = strategies.remote(None, request(range, tables)).expect("broadcasts");
        prop_assert!(covered(&strategies, range, remote, entry), "{remote:?} leaves {entry:?}");
        let all = strategies.remote(None, FlushRequest::all()).expect("broadcasts");
        prop_assert!(covered(&strategies, range, all, entry));
        prop_assert!(covered(&strategies, range, strategies.local(LocalFlush::EVERYTHING), entry));
        prop_assert!(strategies.without_broadcast().remote(None, FlushRequest::all()).is_none());
    }

    #[test]
    fn no_asid_is_flushed_while_it_is_loaded(
        (strategies, tag, current, root) in (strategies(), any::<u16>(), any::<u16>(), any::<bool>()),
        keep in any::<bool>(),
    ) {
        let how = if keep { OnInstall::Keep } else { OnInstall::Flush };
        let current = strategies.asid(Tag::new(current));
        let root = root.then(|| Root::new(0x5000_0000).expect("a root"));
        let plan = strategies.install(ROOTS, root, Tag::new(tag), how, current);
        let asid = if root.is_some() { strategies.asid(Tag::new(tag)) } else { Asid::SHARED };
        let must = how == OnInstall::Flush || asid == Asid::SHARED;
        prop_assert_eq!(plan.flush, must.then_some(asid));
        let through_empty = plan.detour == Some(EMPTY);
        prop_assert!(plan.detour.is_none() || through_empty);
        let in_ttbr1 = strategies.translation().asid_in == AsidIn::Ttbr1;
        prop_assert_eq!(through_empty, in_ttbr1 || must && asid == current);
        let holder = plan.ttbr1.unwrap_or(plan.ttbr0);
        prop_assert_eq!((asid_of(holder), plan.ttbr1.is_some()), (asid, in_ttbr1));
        prop_assert_eq!(plan.ttbr0 & 0xffff_ffff_ffff, root.map_or(EMPTY, Root::address));
    }
}

const EMPTY: u64 = 0x4100_0000;
const ROOTS: Roots = {
    let (Ok(empty), Ok(kernel)) = (Root::new(EMPTY), Root::new(0x4200_0000)) else { panic!() };
    Roots { empty, kernel }
};

fn plain(ranges: bool) -> Strategies {
    let features = Features { asid: Width::Bits16, vmid: Width::Bits8, ranges, level_hints: false };
    let translation = Translation {
        granule: Granule::Size4K,
        upper_granule: Granule::Size4K,
        asid: Width::Bits16,
        asid_in: AsidIn::Ttbr0,
        wide: false,
    };
    Strategies::choose(&features, translation, Errata::RepeatTlbi)
}

#[test]
fn the_usual_flush_is_one_tlbi_a_page_or_a_few_ranges() {
    let tag = Tag::new(3);
    let ops = |strategies: Strategies, count, tables| {
        let range = PageRange::new(VirtAddr(0x5000), count, PageSize::Size4K).expect("a range");
        strategies.local(LocalFlush { tag: Some(tag), request: request(range, tables) })
    };
    let one = Tlbi { form: Form::VaLeaf, operand: 3 << 48 | 5 };
    assert_eq!(ops(plain(true), 1, false).next(), Some(one));
    assert_eq!(ops(plain(false), 512, false).count(), 512);
    let whole = Tlbi { form: Form::Asid, operand: 3 << 48 };
    assert_eq!(ops(plain(false), 513, false).next(), Some(whole));
    assert_eq!(ops(plain(false).with_ceiling(2), 3, false).next(), Some(whole));
    let mut ranges = ops(plain(true), 1025, true);
    assert_eq!(
        [ranges.next(), ranges.next()].map(|op| op.map(|op| op.form)),
        [Some(Form::Range), Some(Form::Va)]
    );
    assert_eq!(ranges.next(), None);
    assert_eq!(plain(true).errata(), Errata::RepeatTlbi);
    assert!(plain(true).broadcasts() && !plain(true).without_broadcast().broadcasts());
}

#[test]
fn addresses_of_52_bits_go_page_by_page() {
    let mut translation = *plain(true).translation();
    translation.wide = true;
    let features = Features { asid: Width::Bits16, vmid: Width::Bits8, ranges: true, level_hints: false };
    let wide = Strategies::choose(&features, translation, Errata::None);
    let range = PageRange::new(VirtAddr(0x5000), 4, PageSize::Size4K).expect("a range");
    let what = LocalFlush { tag: Some(Tag::new(3)), request: FlushRequest::pages(range) };
    assert_eq!(wide.local(what).count(), 4);
    assert_eq!(plain(true).local(what).count(), 1);
}

#[test]
fn pages_smaller_than_the_granule_drop_the_granule() {
    let mut large = plain(false);
    large.translation.granule = Granule::Size64K;
    let range = PageRange::new(VirtAddr(0x1_f000), 2, PageSize::Size4K).expect("a range");
    let what = LocalFlush { tag: Some(Tag::new(3)), request: FlushRequest::pages(range) };
    let operands: [u64; 2] = {
        let mut ops = large.local(what).map(|op| op.operand & 0xffff);
        [ops.next(), ops.next()].map(|operand| operand.expect("two granules"))
    };
    assert_eq!(operands, [0x10, 0x20]);
}

#[test]
fn a_range_of_kernel_pages_names_the_granule_of_ttbr1() {
    // Arm C5.5, TLBI RVAALE1: TG is 1 for 4 KiB, 2 for 16 KiB, 3 for 64 KiB.
    let granules = [(Granule::Size4K, 1), (Granule::Size16K, 2), (Granule::Size64K, 3)];
    for (lower, in_lower) in granules {
        for (upper, in_upper) in granules {
            let mut strategies = plain(true);
            strategies.translation.granule = lower;
            strategies.translation.upper_granule = upper;
            let named = |start: u64| {
                let range = PageRange::new(VirtAddr(start), 64, PageSize::Size64K).expect("a range");
                let what = LocalFlush { tag: None, request: FlushRequest::pages(range) };
                let op = strategies.local(what).next().expect("one");
                assert_eq!(op.form, Form::RangeAllLeaf);
                op.operand >> 46 & 0b11
            };
            assert_eq!((named(0x40_0000), named(0xffff_8000_0040_0000)), (in_lower, in_upper));
        }
    }
}

#[test]
fn a_switch_between_tags_is_one_write() {
    let root = Root::new(0x5000_0000).expect("a root");
    let strategies = plain(true);
    let current = strategies.asid(Tag::new(2));
    let plan = strategies.install(ROOTS, Some(root), Tag::new(3), OnInstall::Keep, current);
    assert_eq!(plan, Install { detour: None, flush: None, ttbr1: None, ttbr0: 3 << 48 | 0x5000_0000 });
}

#[test]
fn contexts_take_no_tlbi_and_no_broadcast() {
    let strategies = plain(true);
    for tag in [None, Some(Tag::new(3))] {
        let count = |request| strategies.local(LocalFlush { tag, request }).count();
        assert_eq!((count(FlushRequest::contexts()), count(FlushRequest::all())), (0, 1));
        assert!(strategies.remote(tag, FlushRequest::contexts()).is_none());
        assert!(strategies.remote(tag, FlushRequest::all()).is_some());
    }
}
