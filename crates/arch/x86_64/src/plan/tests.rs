use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shootdown::flush::VirtAddr;

const WIDTH: LinearWidth = LinearWidth::Bits48;
/// Distance from one number to its user half.
const USER_HALF: u16 = 0x800;

/// Something that a CPU may have cached.
#[derive(Clone, Copy, Debug)]
struct Entry {
    pcid: u16,
    address: u64,
    /// Bytes that the page's entry maps.
    size: u64,
    global: bool,
    /// Of a table above the page, rather than of the page.
    table: bool,
}

/// Whether the manuals promise that `step` drops `entry` on a CPU that has `current` loaded.
fn drops(step: Step, mut pages: Pages, current: Pcid, entry: Entry) -> bool {
    let mut holds = || pages.any(|page| same_page(page.0, entry.address, entry.size));
    match step {
        Step::Invlpg => {
            let here = entry.pcid == current.number();
            if entry.table { here } else { holds() && (here || entry.global) }
        }
        Step::InvpcidAddress(pcid) => entry.pcid == pcid.number() && !entry.global && !entry.table && holds(),
        Step::InvpcidContext(pcid) => entry.pcid == pcid.number() && !entry.global,
        Step::ReloadCr3 => entry.pcid == current.number() && !entry.global,
        Step::InvpcidAll | Step::TogglePge => true,
        Step::Serialize | Step::RewriteCr2 => false,
    }
}

fn same_page(a: u64, b: u64, size: u64) -> bool {
    a & !(size - 1) == b & !(size - 1)
}

/// Bytes of the smallest page that the pages of `range` may be mapped by.
fn smallest(range: PageRange) -> u64 {
    match range.size() {
        PageSize::Size2M => 2 << 20,
        PageSize::Size1G => 1 << 30,
        _ => 4096,
    }
}

fn planned(plan: Plan, current: Pcid, entry: Entry) -> bool {
    let drops = |step| drops(step, plan.pages, current, entry);
    drops(plan.first) || plan.second.is_some_and(drops)
}

/// Whether the manual lists a step as serialising (SDM 9.3). INVPCID is not listed.
fn serializes(plan: Plan) -> bool {
    let listed = |step| {
        matches!(step, Step::Invlpg | Step::ReloadCr3 | Step::TogglePge | Step::Serialize | Step::RewriteCr2)
    };
    listed(plan.first) || plan.second.is_some_and(listed)
}

fn features() -> impl Strategy<Value = Features> {
    (prop::bool::weighted(0.9), prop::bool::weighted(0.8), prop::option::of(1_u32..9), any::<bool>())
        .prop_map(|(pcid, invpcid, invlpgb, serialize)| Features {
            global_pages: true,
            pcid,
            invpcid,
            invlpgb,
            serialize,
            five_levels: false,
        })
}

fn strategies() -> impl Strategy<Value = Strategies> {
    let tagging = prop::sample::select(&[Tagging::None, Tagging::Pcid, Tagging::Pairs]);
    let kernel = prop::sample::select(&[KernelMappings::Global, KernelMappings::PerTag]);
    (features(), tagging, kernel)
        .prop_map(|(features, tagging, kernel)| Strategies::choose(&features, tagging, kernel, WIDTH))
}

fn size() -> impl Strategy<Value = PageSize> {
    prop::sample::select(&[
        PageSize::Size4K,
        PageSize::Size4K,
        PageSize::Size16K,
        PageSize::Size64K,
        PageSize::Size2M,
        PageSize::Size32M,
        PageSize::Size512M,
        PageSize::Size1G,
    ])
}

/// A range, which may lie anywhere, hole and top included, and an address in it.
fn range_and_address() -> impl Strategy<Value = (PageRange, u64)> {
    let anchor =
        prop::sample::select(&[0_u64, 0x7fff_c000_0000, 0xffff_8000_0000_0000, u64::MAX - (1 << 37)]);
    (anchor, 0_u64..1 << 20, prop_oneof![1_u64..20, 1_u64..70], size(), any::<u64>()).prop_map(
        |(anchor, page, count, size, at)| {
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

/// PCIDs that entries of the space tagged `tag` may carry.
fn owners(strategies: &Strategies, tag: Tag) -> [u16; 2] {
    let pcid = strategies.pcid(tag).number();
    let both = strategies.tagging() == Tagging::Pairs;
    [pcid, if both { pcid | USER_HALF } else { pcid }]
}

/// The same cases in every run.
fn fixed() -> ProptestConfig {
    ProptestConfig {
        cases: 4096,
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
        (tag, current, is_current) in (0_u16..0x1100, 0_u16..0x1000, any::<bool>()),
        (user_half, table) in (0_usize..2, any::<bool>()),
    ) {
        if !WIDTH.is_canonical(VirtAddr(address)) {
            // Nothing is ever cached for it.
            return Ok(());
        }
        let tag = Tag::new(tag);
        let current = if is_current { strategies.pcid(tag) } else { strategies.pcid(Tag::new(current)) };
        let plan = strategies.local(LocalFlush { tag: Some(tag), request: request(range, tables) }, current);
        let pcid = owners(&strategies, tag)[user_half];
        let size = smallest(range);
        let entry = Entry { pcid, address, size, global: false, table: table && tables };
        prop_assert!(planned(plan, current, entry), "{plan:?} leaves {entry:?}");
    }

    #[test]
    fn a_tag_goes_whole(
        strategies in strategies(),
        (tag, current, is_current) in (0_u16..0x1100, 0_u16..0x1000, any::<bool>()),
        (address, user_half, table) in (any::<u64>(), 0_usize..2, any::<bool>()),
    ) {
        let tag = Tag::new(tag);
        let current = if is_current { strategies.pcid(tag) } else { strategies.pcid(Tag::new(current)) };
        let plan = strategies.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() }, current);
        let entry = Entry { pcid: owners(&strategies, tag)[user_half], address, size: 4096, global: false, table };
        prop_assert!(planned(plan, current, entry), "{plan:?} leaves {entry:?}");
        prop_assert!(serializes(plan) || strategies.pcid(tag) != current, "{plan:?} may stand for contexts");
        prop_assert!(serializes(strategies.local(LocalFlush::EVERYTHING, current)));
    }

    #[test]
    fn kernel_pages_go_from_every_pcid(
        (range, address) in range_and_address(),
        (strategies, tables) in (strategies(), any::<bool>()),
        (pcid, current, table) in (0_u16..0x1000, 0_u16..0x1000, any::<bool>()),
    ) {
        if !WIDTH.is_canonical(VirtAddr(address)) {
            // Nothing is ever cached for it.
            return Ok(());
        }
        let current = strategies.pcid(Tag::new(current));
        let plan = strategies.local(LocalFlush { tag: None, request: request(range, tables) }, current);
        let pcid = if strategies.tagging() == Tagging::None { 0 } else { pcid };
        let table = table && tables;
        // Tables are cached under a PCID even where they lead to global pages.
        let global = strategies.kernel == KernelMappings::Global && !table;
        let entry = Entry { pcid, address, size: smallest(range), global, table };
        prop_assert!(planned(plan, current, entry), "{plan:?} leaves {entry:?}");
    }

    #[test]
    fn broadcasts_name_every_page_and_no_reserved_bit(
        (range, address) in range_and_address(),
        (strategies, tables) in (strategies(), any::<bool>()),
        (kernel, tag) in (any::<bool>(), prop::option::of(0_u16..0x1100)),
    ) {
        if !WIDTH.is_canonical(VirtAddr(address)) {
            // Nothing is ever cached for it.
            return Ok(());
        }
        let tag = tag.map(Tag::new);
        let target = if kernel { Target::Kernel } else { Target::Space(tag) };
        let Some(requests) = strategies.broadcast(target, request(range, tables)) else {
            prop_assert!(strategies.invlpgb.is_none());
            return Ok(());
        };
        let mut covered = false;
        for Invlpgb { rax, ecx, edx } in requests {
            let distance = if ecx >> 31 == 1 { 0x20_0000 } else { 0x1000 };
            let (first, count) = (rax & !0xfff, u64::from(ecx & 0xffff) + 1);
            let mut pages = (0..count).map(|page| first + page * distance);
            covered |= rax & 1 == 0 || pages.any(|page| same_page(page, address, smallest(range)));
            prop_assert_eq!((ecx & 0x7fff_0000, rax & 0xfe0, rax >> 2 & 1), (0, 0, 1));
            let pcid = tag.filter(|tag| !kernel && tag.number() < 0x1000);
            let expected = pcid.map_or((0, 0), |tag| (1, u32::from(tag.number()) << 16));
            prop_assert_eq!((rax >> 1 & 1, edx), expected, "one PCID, or all");
            prop_assert_eq!(rax >> 3 & 1 == 1, kernel);
            prop_assert!(rax >> 4 & 1 == 0 || !tables);
            prop_assert!(count <= u64::from(strategies.invlpgb.unwrap_or(0)));
        }
        prop_assert!(covered);
    }
}

fn with(pcid: bool, invpcid: bool, wanted: Tagging) -> Strategies {
    let (global_pages, invlpgb) = (true, Some(8));
    let features = Features { global_pages, pcid, invpcid, invlpgb, serialize: false, five_levels: false };
    Strategies::choose(&features, wanted, KernelMappings::Global, WIDTH)
}

fn page(address: u64) -> PageRange {
    PageRange::page(VirtAddr(address))
}

#[test]
fn the_usual_flush_is_one_invlpg_a_page() {
    let strategies = with(true, true, Tagging::Pcid);
    let tag = Tag::new(3);
    let what = LocalFlush { tag: Some(tag), request: FlushRequest::pages(page(0x5000)).tables_freed() };
    let plan = strategies.local(what, strategies.pcid(tag));
    assert_eq!(plan, Plan::of(page(0x5000).pages(), Step::Invlpg, None));
    let mut pages = page(0x5000).pages();
    assert_eq!((pages.remaining(), pages.next(), pages.next()), (1, Some(VirtAddr(0x5000)), None));
}

#[test]
fn what_a_cpu_lacks_is_done_without() {
    assert_eq!(with(false, true, Tagging::Pcid).tagging(), Tagging::None);
    assert_eq!(with(true, false, Tagging::Pairs).tagging(), Tagging::None);
    assert_eq!(with(true, true, Tagging::Pairs).tagging(), Tagging::Pairs);
    let tag = Tag::new(3);
    let elsewhere = Pcid::SHARED;
    let without_invpcid = with(true, false, Tagging::Pcid);
    assert_eq!(
        without_invpcid.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() }, elsewhere),
        Plan::one(Step::TogglePge)
    );
    let bare = Features {
        global_pages: false,
        pcid: true,
        invpcid: false,
        invlpgb: None,
        serialize: false,
        five_levels: false,
    };
    let bare = Strategies::choose(&bare, Tagging::Pcid, KernelMappings::Global, WIDTH);
    assert_eq!((bare.tagging(), bare.global_pages()), (Tagging::None, false));
    assert_eq!(bare.local(LocalFlush::EVERYTHING, elsewhere), Plan::one(Step::ReloadCr3));
}

#[test]
fn broadcasts_are_used_with_pcids_alone() {
    let all = |strategies: Strategies| {
        strategies.broadcast(Target::Space(None), FlushRequest::all()).map(Iterator::count)
    };
    assert_eq!(all(with(true, true, Tagging::Pcid)), Some(1));
    assert_eq!(all(with(true, true, Tagging::Pcid).without_broadcast()), None);
    assert_eq!(all(with(true, true, Tagging::Pairs)), None);
    assert_eq!(all(with(true, true, Tagging::None)), None);
    assert_eq!(all(Strategies::PLAIN), None);
    assert!(with(true, true, Tagging::Pcid).broadcasts() && !Strategies::PLAIN.broadcasts());
}

#[test]
fn long_ranges_and_ranges_across_the_hole_are_widened() {
    let strategies = with(true, true, Tagging::Pcid);
    let tag = Tag::new(3);
    let plan = |start, count| {
        let range = PageRange::new(VirtAddr(start), count, PageSize::Size4K).expect("a range");
        strategies
            .local(LocalFlush { tag: Some(tag), request: FlushRequest::pages(range) }, strategies.pcid(tag))
    };
    assert_eq!(strategies.ceiling(), 33);
    assert_eq!((plan(0x1000, 33).first, plan(0x1000, 33).pages.remaining()), (Step::Invlpg, 33));
    assert_eq!(plan(0x1000, 34), Plan::one(Step::ReloadCr3));
    assert_eq!(plan(0x7fff_ffff_f000, 2), Plan::one(Step::ReloadCr3));
    let high = strategies.with_ceiling(u64::MAX);
    let range = PageRange::new(VirtAddr(0), 1 << 36, PageSize::Size4K).expect("a range");
    let across =
        high.local(LocalFlush { tag: Some(tag), request: FlushRequest::pages(range) }, high.pcid(tag));
    assert_eq!(across, Plan::one(Step::ReloadCr3));
}

#[test]
fn the_user_half_goes_with_the_root() {
    let pairs = with(true, true, Tagging::Pairs);
    let pcid = pairs.pcid(Tag::new(3));
    assert_eq!(pairs.besides_install(pcid), Some(Step::InvpcidContext(pcid.user_half())));
    assert_eq!(with(true, true, Tagging::Pcid).besides_install(pcid), None);
    assert_eq!(pairs.pcid(Tag::new(0x800)), Pcid::SHARED, "no PCID of a pair");
}

#[test]
fn contexts_take_one_serialising_instruction_and_no_broadcast() {
    let old = with(true, true, Tagging::Pcid);
    let new = Strategies { serialize: true, ..old };
    for tag in [None, Some(Tag::new(3)), Some(Tag::new(0x1000))] {
        let plan =
            |strategies: Strategies, request| strategies.local(LocalFlush { tag, request }, Pcid::SHARED);
        let contexts = FlushRequest::contexts();
        assert_eq!(plan(old, contexts), Plan::one(Step::RewriteCr2));
        assert_eq!(plan(new, contexts), Plan::one(Step::Serialize));
        for target in [Target::Kernel, Target::Space(tag)] {
            assert!(
                new.broadcast(target, contexts).is_none()
                    && new.broadcast(target, FlushRequest::all()).is_some()
            );
        }
    }
    let everything = Plan::of(Pages::NONE, Step::InvpcidAll, Some(Step::Serialize));
    assert_eq!(new.local(LocalFlush::EVERYTHING, Pcid::SHARED), everything, "INVPCID serialises nothing");
}

#[test]
fn a_loaded_pair_goes_by_a_write_that_serialises() {
    let pairs = with(true, true, Tagging::Pairs);
    let (tag, user) = (Tag::new(3), Step::InvpcidContext(pairs.pcid(Tag::new(3)).user_half()));
    let plan = |current| pairs.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() }, current);
    let pcid = pairs.pcid(tag);
    assert_eq!(plan(pcid), Plan::of(Pages::NONE, Step::ReloadCr3, Some(user)));
    assert_eq!(plan(Pcid::SHARED), Plan::of(Pages::NONE, Step::InvpcidContext(pcid), Some(user)));
}
