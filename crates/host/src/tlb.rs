//! The TLB of a virtual CPU.

use shootdown::flush::{LocalFlush, PageRange, VirtAddr};
use shootdown::tags::{OnInstall, Tag};

/// What a virtual CPU caches of address spaces. It belongs to the virtual CPU's thread: nobody else reaches it, and the
/// engine drops entries of it through these calls alone, on that thread.
///
/// # Safety
/// Implementers promise:
/// 1. after [`flush`](Self::flush) no look-up answers with a translation that it names, nor with anything derived from one
///    (a translated block, a cached pointer);
/// 2. after [`load`](Self::load) look-ups of the space answer with entries under that tag alone, and with
///    [`OnInstall::Flush`] there are none.
pub unsafe trait Tlb: 'static {
    /// Drops translations.
    fn flush(&mut self, what: LocalFlush);
    /// Makes `tag` the one under which entries are looked up and filled from now on.
    fn load(&mut self, tag: Tag, how: OnInstall);
}

const WAYS: usize = 2;

/// A set-associative TLB of 4 KiB pages with values of the embedder's choice (a host pointer, a frame number and
/// permissions), tagged by space: two ways, the one used last is kept.
#[derive(Debug)]
pub struct SoftTlb<T> {
    sets: Vec<[Option<Entry<T>>; WAYS]>,
    tag: Tag,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    page: u64,
    tag: Tag,
    value: T,
}

impl<T> Entry<T> {
    fn is(&self, tag: Tag, page: u64) -> bool {
        self.page == page && self.tag == tag
    }
}

impl<T: Copy> SoftTlb<T> {
    /// Makes an empty TLB with room for `entries`, rounded up to a power of two of at least two.
    pub fn new(entries: usize) -> Self {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![[None; WAYS]; sets], tag: Tag::NONE }
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
            return Some(entry.value);
        }
        let entry = set[1].filter(|entry| entry.is(tag, page))?;
        set.swap(0, 1);
        Some(entry.value)
    }

    /// Notes what `address` translates to in the loaded space.
    pub fn insert(&mut self, address: VirtAddr, value: T) {
        self.insert_tagged(self.tag, address, value);
    }

    /// Notes what `address` translates to under a tag.
    pub fn insert_tagged(&mut self, tag: Tag, address: VirtAddr, value: T) {
        let page = address.0 >> 12;
        let set = self.set(page);
        // An entry for the same page goes, whichever way it is in: two that differ must never be held at once.
        if !set[0].is_some_and(|entry| entry.is(tag, page)) {
            set[1] = set[0];
        }
        set[0] = Some(Entry { page, tag, value });
    }

    /// Drops the entries of `range`, under one tag or under all.
    pub fn flush_range(&mut self, tag: Option<Tag>, range: PageRange) {
        let first = range.start().0 >> 12;
        let last = first + (range.count() * (range.size().bytes() >> 12) - 1);
        let hit =
            |entry: &Entry<T>| (first..=last).contains(&entry.page) && tag.is_none_or(|tag| tag == entry.tag);
        if last - first < self.sets.len() as u64 {
            (first..=last).for_each(|page| drop_matching(self.set(page), hit));
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
// use `tag`, and the flush precedes it.
unsafe impl<T: Copy + 'static> Tlb for SoftTlb<T> {
    fn flush(&mut self, what: LocalFlush) {
        match what {
            LocalFlush::Pages { tag, range, .. } => self.flush_range(Some(tag), range),
            LocalFlush::Tag(tag) => self.flush_tag(tag),
            LocalFlush::KernelPages { range, .. } => self.flush_range(None, range),
            LocalFlush::Everything => self.flush_all(),
        }
    }

    fn load(&mut self, tag: Tag, how: OnInstall) {
        if how == OnInstall::Flush {
            self.flush_tag(tag);
        }
        self.tag = tag;
    }
}
