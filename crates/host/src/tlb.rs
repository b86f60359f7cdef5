//! The TLB of a virtual CPU.

use crate::fence::Fence;
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, PageSize, VirtAddr};
use shootdown::tags::{OnInstall, Tag};

/// What a virtual CPU caches of address spaces. It belongs to the virtual CPU's thread: no other thread reaches it, and
/// the engine drops its entries only through these calls, on that thread.
///
/// # Safety
/// Implementers promise:
/// 1. after [`flush`](Self::flush) no look-up answers with a translation that it names, nor with anything derived from
///    one (a translated block, a cached pointer);
/// 2. after [`load`](Self::load) look-ups of the space answer with entries under that tag alone, and with
///    [`OnInstall::Flush`] there are none;
/// 3. no call runs another fiber of the thread before it returns.
pub unsafe trait Tlb: 'static {
    /// Drops translations.
    fn flush(&mut self, what: LocalFlush);
    /// Makes `tag` the one under which entries are looked up and filled from now on.
    fn load(&mut self, tag: Tag, how: OnInstall);
    /// Drops what the guest has fenced ([`Harts::fence`](crate::Harts::fence)). A TLB that knows no address spaces of
    /// the guest drops the addresses under every tag.
    fn fence(&mut self, fence: Fence) {
        let request = fence.range.map_or(FlushRequest::all(), FlushRequest::pages);
        self.flush(LocalFlush { tag: None, request: request.tables_freed() });
    }
}

const WAYS: usize = 2;

/// What a page walk found: the value for one 4 KiB page, and the size of the page-table leaf that maps it.
///
/// The size decides what a flush drops. Architectures let software flush a leaf by any one address in it, so that an
/// entry of a 2 MiB leaf goes with a flush of any of its 512 pages.
///
/// # Examples
/// ```
/// use shootdown_host::shootdown::flush::{PageRange, PageSize, VirtAddr};
/// use shootdown_host::{Leaf, SoftTlb};
///
/// let mut tlb = SoftTlb::new(64);
/// tlb.insert(VirtAddr(0x20_3000), Leaf::new(PageSize::Size2M, 'a'));
/// tlb.insert(VirtAddr(0x40_3000), Leaf::page('b'));
/// tlb.flush_range(None, PageRange::page(VirtAddr(0x20_0000)));
/// tlb.flush_range(None, PageRange::page(VirtAddr(0x40_0000)));
/// assert_eq!(tlb.get(VirtAddr(0x20_3000)), None); // the same leaf
/// assert_eq!(tlb.get(VirtAddr(0x40_3000)), Some('b')); // another one
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf<T> {
    /// Size of the page-table leaf, or of a group of leaves that are one to the hardware (Svnapot, the contiguous bit).
    pub size: PageSize,
    /// What the 4 KiB page in it translates to.
    pub value: T,
}

impl<T> Leaf<T> {
    /// Makes the answer of a walk that ended at a leaf of this size.
    pub const fn new(size: PageSize, value: T) -> Self {
        Self { size, value }
    }

    /// Makes the answer of a walk that ended at a leaf of 4 KiB.
    pub const fn page(value: T) -> Self {
        Self::new(PageSize::Size4K, value)
    }
}

/// A set-associative TLB with values of the embedder's choice (a host pointer, a frame number and permissions), tagged
/// by space: two ways, the one used last is kept.
///
/// An entry answers for one 4 KiB page. It remembers how large the leaf is that it was cut from, and goes with every
/// flush that touches that leaf.
#[derive(Debug)]
pub struct SoftTlb<T> {
    sets: Vec<[Option<Entry<T>>; WAYS]>,
    tag: Tag,
    /// Pages of the largest leaf that was inserted, minus one: how far from a flushed page its entries may lie.
    reach: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    page: u64,
    tag: Tag,
    leaf: Leaf<T>,
}

impl<T> Entry<T> {
    fn is(&self, tag: Tag, page: u64) -> bool {
        self.page == page && self.tag == tag
    }

    /// Whether its leaf has a page from `first` to `last`.
    fn touches(&self, first: u64, last: u64) -> bool {
        let within = pages_within(self.leaf.size);
        self.page & !within <= last && self.page | within >= first
    }
}

/// Number of 4 KiB pages in a page of this size, minus one.
const fn pages_within(size: PageSize) -> u64 {
    (size.bytes() >> 12) - 1
}

impl<T: Copy> SoftTlb<T> {
    /// Makes an empty TLB with room for `entries`, rounded up to a power of two of at least two.
    pub fn new(entries: usize) -> Self {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![[None; WAYS]; sets], tag: Tag::NONE, reach: 0 }
    }

    /// Looks `address` up in the loaded space.
    #[inline]
    pub fn get(&mut self, address: VirtAddr) -> Option<T> {
        self.get_tagged(self.tag, address)
    }

    /// Looks `address` up under a tag.
    #[inline]
    pub fn get_tagged(&mut self, tag: Tag, address: VirtAddr) -> Option<T> {
        let page = address.0 >> 12;
        let set = self.set(page);
        if let Some(entry) = set[0].filter(|entry| entry.is(tag, page)) {
            return Some(entry.leaf.value);
        }
        let entry = set[1].filter(|entry| entry.is(tag, page))?;
        set.swap(0, 1);
        Some(entry.leaf.value)
    }

    /// Notes what `address` translates to in the loaded space.
    pub fn insert(&mut self, address: VirtAddr, leaf: Leaf<T>) {
        self.insert_tagged(self.tag, address, leaf);
    }

    /// Notes what `address` translates to under a tag.
    pub fn insert_tagged(&mut self, tag: Tag, address: VirtAddr, leaf: Leaf<T>) {
        self.reach |= pages_within(leaf.size);
        let page = address.0 >> 12;
        let set = self.set(page);
        // An entry for the same page goes, whichever way it is in: two that differ must never be held at once.
        if !set[0].is_some_and(|entry| entry.is(tag, page)) {
            set[1] = set[0];
        }
        set[0] = Some(Entry { page, tag, leaf });
    }

    /// Drops the entries of every leaf that has an address in `range`, under one tag or under all.
    pub fn flush_range(&mut self, tag: Option<Tag>, range: PageRange) {
        let first = range.start().0 >> 12;
        let last = first + (range.count() * (range.size().bytes() >> 12) - 1);
        let hit = |entry: &Entry<T>| entry.touches(first, last) && tag.is_none_or(|tag| tag == entry.tag);
        let (from, to) = (first & !self.reach, last | self.reach);
        if to - from < self.sets.len() as u64 {
            (from..=to).for_each(|page| drop_matching(self.set(page), hit));
        } else {
            self.sets.iter_mut().for_each(|set| drop_matching(set, hit));
        }
    }

    /// Drops the entries under a tag.
    pub fn flush_tag(&mut self, tag: Tag) {
        self.sets.iter_mut().for_each(|set| drop_matching(set, |entry| entry.tag == tag));
    }

    /// Drops everything.
    pub fn flush_all(&mut self) {
        self.sets.fill([None; WAYS]);
        self.reach = 0;
    }

    /// Number of entries held; for tests and statistics.
    pub fn held(&self) -> usize {
        self.sets.iter().flatten().flatten().count()
    }

    #[inline]
    fn set(&mut self, page: u64) -> &mut [Option<Entry<T>>; WAYS] {
        let mask = self.sets.len() - 1;
        &mut self.sets[page as usize & mask]
    }
}

fn drop_matching<T>(set: &mut [Option<Entry<T>>; WAYS], hit: impl Fn(&Entry<T>) -> bool) {
    for way in set {
        if way.as_ref().is_some_and(&hit) {
            *way = None;
        }
    }
}

// SAFETY: 1. each kind of request drops what it names, and look-ups give out copies of entries alone; 2. `get` and `insert`
// use `tag`, and the flush precedes it; 3. nothing of the embedder's runs here.
unsafe impl<T: Copy + 'static> Tlb for SoftTlb<T> {
    fn flush(&mut self, what: LocalFlush) {
        match (what.tag, what.request.range()) {
            (tag, Some(range)) => self.flush_range(tag, range),
            (Some(tag), None) => self.flush_tag(tag),
            (None, None) => self.flush_all(),
        }
    }

    fn load(&mut self, tag: Tag, how: OnInstall) {
        if how == OnInstall::Flush {
            self.flush_tag(tag);
        }
        self.tag = tag;
    }
}
