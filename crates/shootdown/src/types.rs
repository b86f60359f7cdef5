//! The engine's numbers, each with a type of its own.

use core::fmt;

pub use pages::Pages;

mod pages;

/// Number of a CPU, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(u32);

impl CpuId {
    /// Wraps a CPU number.
    #[inline]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The number, as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {}", self.0)
    }
}

/// Identity of an address space (Linux: `ctx_id`); never reused, never 0 (SD-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpaceId(pub(crate) u64);

impl SpaceId {
    /// Wraps a number, for tests of tag policies; the engine numbers its spaces itself.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[inline]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// TLB generation: the count of flushes of a space (Linux: `tlb_gen`); never goes back (SD-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub(crate) u64);

impl Generation {
    /// The number.
    #[inline]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// TLB tag as the hardware knows it: PCID, ASID, context number, VMID. 0 where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(u16);

impl Tag {
    /// The only tag of hardware without tags.
    pub const NONE: Tag = Tag(0);

    /// Wraps a tag number.
    #[inline]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number.
    #[inline]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// A virtual address; 64 bits on every host, since the checker and emulators run other machines than their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtAddr(pub u64);

/// A page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PageSize {
    /// 4 KiB.
    Size4K = 0,
    /// 16 KiB.
    Size16K = 1,
    /// 64 KiB.
    Size64K = 2,
    /// 2 MiB.
    Size2M = 3,
    /// 32 MiB.
    Size32M = 4,
    /// 512 MiB.
    Size512M = 5,
    /// 1 GiB.
    Size1G = 6,
}

impl PageSize {
    /// Base-2 logarithm of the size in bytes.
    #[inline]
    pub const fn shift(self) -> u32 {
        match self {
            PageSize::Size4K => 12,
            PageSize::Size16K => 14,
            PageSize::Size64K => 16,
            PageSize::Size2M => 21,
            PageSize::Size32M => 25,
            PageSize::Size512M => 29,
            PageSize::Size1G => 30,
        }
    }

    /// Size in bytes.
    #[inline]
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    #[inline]
    const fn from_code(code: u64) -> Self {
        match code {
            0 => PageSize::Size4K,
            1 => PageSize::Size16K,
            2 => PageSize::Size64K,
            3 => PageSize::Size2M,
            4 => PageSize::Size32M,
            5 => PageSize::Size512M,
            _ => PageSize::Size1G,
        }
    }
}

/// A run of pages of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRange {
    start: u64,
    count: u64,
    size: PageSize,
}

impl PageRange {
    /// Makes a run of `count` pages of `size` from `start`.
    ///
    /// # Errors
    /// A start that is not a multiple of the size, no pages, or a run past the end of the address space.
    ///
    /// # Examples
    /// ```
    /// use shootdown::flush::{PageRange, PageSize, RangeError, VirtAddr};
    ///
    /// let huge = PageRange::new(VirtAddr(0x20_0000), 2, PageSize::Size2M)?;
    /// assert_eq!((huge.count(), huge.size().bytes()), (2, 0x20_0000));
    /// let error = PageRange::new(VirtAddr(0x1234), 1, PageSize::Size4K).unwrap_err();
    /// assert_eq!(error, RangeError::Misaligned(VirtAddr(0x1234), PageSize::Size4K));
    /// # Ok::<(), RangeError>(())
    /// ```
    pub const fn new(start: VirtAddr, count: u64, size: PageSize) -> Result<Self, RangeError> {
        if start.0 & (size.bytes() - 1) != 0 {
            return Err(RangeError::Misaligned(start, size));
        }
        if count == 0 {
            return Err(RangeError::Empty(start));
        }
        match count.checked_mul(size.bytes()) {
            Some(bytes) if start.0.checked_add(bytes - 1).is_some() => {
                Ok(Self { start: start.0, count, size })
            }
            _ => Err(RangeError::Wraps(start, count)),
        }
    }

    /// Makes the run of one 4 KiB page that holds `address`.
    ///
    /// # Examples
    /// ```
    /// use shootdown::flush::{PageRange, VirtAddr};
    ///
    /// assert_eq!(PageRange::page(VirtAddr(0x1234)).start(), VirtAddr(0x1000));
    /// ```
    #[inline]
    pub const fn page(address: VirtAddr) -> Self {
        Self { start: address.0 & !0xfff, count: 1, size: PageSize::Size4K }
    }

    /// First address.
    #[inline]
    pub const fn start(&self) -> VirtAddr {
        VirtAddr(self.start)
    }

    /// Number of pages.
    #[inline]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Size of each page.
    #[inline]
    pub const fn size(&self) -> PageSize {
        self.size
    }

    /// Each page.
    #[inline]
    pub fn pages(&self) -> Pages {
        Pages::of(*self, self.size)
    }

    /// The same addresses in pages of the smallest size.
    #[inline]
    pub(crate) const fn in_smallest_pages(self) -> PageRange {
        let size = PageSize::Size4K;
        PageRange { start: self.start, count: self.count << (self.size.shift() - size.shift()), size }
    }

    /// The smallest run of the smaller page size that holds both.
    #[inline]
    pub(crate) const fn cover(self, other: PageRange) -> PageRange {
        let size = if self.size.shift() < other.size.shift() { self.size } else { other.size };
        let start = if self.start < other.start { self.start } else { other.start };
        let (a, b) = (self.last(), other.last());
        let last = if a > b { a } else { b };
        PageRange { start, count: ((last - start) >> size.shift()) + 1, size }
    }

    #[inline]
    const fn last(&self) -> u64 {
        // What covers the whole of the address space has a byte more than a word counts.
        self.start.wrapping_add((self.count << self.size.shift()).wrapping_sub(1))
    }
}

/// Why a range was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RangeError {
    /// The start is not a multiple of the page size.
    Misaligned(VirtAddr, PageSize),
    /// No pages.
    Empty(VirtAddr),
    /// This many pages from here run past the end of the address space.
    Wraps(VirtAddr, u64),
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RangeError::Misaligned(start, size) => {
                write!(
                    f,
                    "range starts at {:#x}, which is not a multiple of {:#x}; align it down",
                    start.0,
                    size.bytes()
                )
            }
            RangeError::Empty(start) => write!(f, "range at {:#x} has no pages; skip the flush", start.0),
            RangeError::Wraps(start, count) => {
                write!(
                    f,
                    "{count} pages from {:#x} pass the end of the address space; flush the whole space",
                    start.0
                )
            }
        }
    }
}

impl core::error::Error for RangeError {}

/// What a flush covers: pages or everything, and whether page tables are freed too (Linux: `struct flush_tlb_info`).
///
/// # Examples
/// ```
/// use shootdown::flush::{FlushRequest, PageRange, VirtAddr};
///
/// let page = PageRange::page(VirtAddr(0x4000));
/// assert_eq!(FlushRequest::pages(page).range(), Some(page));
/// assert!(FlushRequest::all().tables_freed().frees_tables());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FlushRequest {
    /// The start, which is a multiple of 4096, with the size in bits 8..11 and whether table pages are freed in bit 11.
    place: u64,
    /// Number of pages; 0 for everything.
    count: u64,
}

impl FlushRequest {
    const SIZE_SHIFT: u32 = 8;
    const TABLES_FREED: u64 = 1 << 11;
    /// Stands for contexts where the size is, of which there are fewer.
    const CONTEXTS: u64 = 7 << Self::SIZE_SHIFT;
    /// Most pages that fit the word of a request.
    const COUNT_MAX: u64 = 0xff;

    /// Covers these pages (Linux: `flush_tlb_mm_range`). Only their leaf entries changed, so a CPU that is lazy on the
    /// space may be skipped.
    #[inline]
    pub const fn pages(range: PageRange) -> Self {
        Self { place: range.start | (range.size as u64) << Self::SIZE_SHIFT, count: range.count }
    }

    /// Covers everything (Linux: `flush_tlb_mm`): a whole space, or all of kernel memory.
    #[inline]
    pub const fn all() -> Self {
        Self { place: 0, count: 0 }
    }

    /// Covers no translation, but the instructions that a CPU has fetched: each CPU synchronises its context before it
    /// runs code of the space again, or of the kernel (SD-21; Linux: membarrier with `SYNC_CORE`, `text_poke_sync`).
    /// Write the code before.
    ///
    /// [`Platform::flush_local`](crate::Platform::flush_local) says what a platform does for that. A platform that does
    /// not handle it drops the page at address 0. If the platform flushes without IPIs and that synchronises no context
    /// ([`Platform::SYNCS_CONTEXTS`](crate::Platform::SYNCS_CONTEXTS)), verbs that are given this request panic before
    /// anything has changed.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// let user = boot(0x1000);
    /// (0..2).for_each(|cpu| on(cpu, || ENGINE.switch_to(&user)));
    /// // ... write code ...
    /// ENGINE.flush(&user, FlushRequest::contexts()); // a JIT's threads may run it now
    /// assert_eq!(ipis(), 1); // to CPU 1; others synchronise as they switch
    /// ```
    #[inline]
    pub const fn contexts() -> Self {
        Self { place: Self::CONTEXTS, count: 1 }
    }

    /// Whether it covers [contexts](Self::contexts).
    #[inline]
    pub const fn syncs_contexts(&self) -> bool {
        self.place & Self::CONTEXTS == Self::CONTEXTS
    }

    /// The same, where table pages are freed too: every CPU with the root loaded must drop what its walker caches
    /// (SD-7; Linux: `freed_tables`). Not of [`contexts`](Self::contexts), for which a platform drops nothing: ask for
    /// [`all`](Self::all).
    #[inline]
    pub const fn tables_freed(self) -> Self {
        Self { place: self.place | Self::TABLES_FREED, ..self }
    }

    /// The pages; `None` for everything.
    #[inline]
    pub const fn range(&self) -> Option<PageRange> {
        if self.count == 0 { None } else { Some(self.own_pages()) }
    }

    /// The pages of a request that was made of some.
    #[inline]
    pub(crate) const fn own_pages(&self) -> PageRange {
        let size = PageSize::from_code(self.place >> Self::SIZE_SHIFT & 7);
        PageRange { start: self.place & !0xfff, count: self.count, size }
    }

    /// Whether table pages are freed too.
    #[inline]
    pub const fn frees_tables(&self) -> bool {
        self.place & Self::TABLES_FREED != 0
    }

    /// The levels of a page's translation that must go.
    #[inline]
    pub const fn levels(&self) -> Levels {
        if self.frees_tables() { Levels::All } else { Levels::Leaf }
    }

    /// The smallest request that covers both.
    #[inline]
    pub(crate) const fn cover(self, other: Self) -> Self {
        let covering = match (self.range(), other.range()) {
            (Some(a), Some(b)) => Self::pages(a.cover(b)),
            _ => Self::all(),
        };
        if self.frees_tables() || other.frees_tables() { covering.tables_freed() } else { covering }
    }

    /// The same request, or everything if it has more than `ceiling` pages.
    #[inline]
    pub(crate) const fn up_to(self, ceiling: u64) -> Self {
        if self.count > ceiling { Self { place: self.place & Self::TABLES_FREED, count: 0 } } else { self }
    }

    /// The same levels, with a position of secondary TLBs in the place of the pages.
    #[inline]
    pub(crate) const fn with_position(self, position: u64) -> Self {
        Self { place: self.place & Self::TABLES_FREED, count: position }
    }

    /// The position that [`with_position`](Self::with_position) put there.
    #[inline]
    pub(crate) const fn position(&self) -> u64 {
        self.count
    }

    /// The word of everything. Out of line, since few requests are so long.
    #[cold]
    #[inline(never)]
    const fn word_of_everything(self) -> u64 {
        (self.place & Self::TABLES_FREED) << 52
    }

    /// The request in one word, for the history of recent requests; one that does not fit is widened (SD-14).
    ///
    /// Bits 0..52 page number of the start, 52..60 count or 0 for everything, 60..63 size, 63 tables.
    #[inline]
    pub(crate) const fn to_word(self) -> u64 {
        let Self { place, count } = self;
        if count <= Self::COUNT_MAX { place >> 12 | (place | count) << 52 } else { self.word_of_everything() }
    }

    /// The request that [`to_word`](Self::to_word) put into a word.
    #[inline]
    pub(crate) const fn from_word(word: u64) -> Self {
        Self { place: word.rotate_left(12) & !Self::COUNT_MAX, count: word >> 52 & Self::COUNT_MAX }
    }
}

impl fmt::Debug for FlushRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (range, frees_tables) = (self.range(), self.frees_tables());
        if self.syncs_contexts() {
            return f.write_str("FlushRequest(contexts)");
        }
        f.debug_struct("FlushRequest").field("range", &range).field("frees_tables", &frees_tables).finish()
    }
}

/// Which levels of a page's translation are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    /// The last one: what the walker caches of the levels above may stay.
    Leaf,
    /// All: table pages are freed.
    All,
}

#[cfg(all(test, not(any(shootdown_explore, shootdown_loom, shootdown_instrumented))))]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, count: u64, size: PageSize) -> PageRange {
        PageRange::new(VirtAddr(start), count, size).expect("valid range")
    }

    #[test]
    fn bad_ranges_are_refused_with_their_value() {
        let misaligned = PageRange::new(VirtAddr(0x1800), 1, PageSize::Size4K);
        assert_eq!(misaligned, Err(RangeError::Misaligned(VirtAddr(0x1800), PageSize::Size4K)));
        assert_eq!(PageRange::new(VirtAddr(0), 0, PageSize::Size4K), Err(RangeError::Empty(VirtAddr(0))));
        let top = VirtAddr(0xffff_ffff_ffff_f000);
        assert!(PageRange::new(top, 1, PageSize::Size4K).is_ok());
        assert_eq!(PageRange::new(top, 2, PageSize::Size4K), Err(RangeError::Wraps(top, 2)));
        let huge = PageRange::new(VirtAddr(0), u64::MAX, PageSize::Size1G);
        assert_eq!(huge, Err(RangeError::Wraps(VirtAddr(0), u64::MAX)));
    }

    #[test]
    fn a_word_returns_the_request_or_widens_it() {
        for size in [PageSize::Size4K, PageSize::Size64K, PageSize::Size2M, PageSize::Size1G] {
            let pages = FlushRequest::pages(range(0xffff_8000_0000_0000 & !(size.bytes() - 1), 7, size));
            for request in [pages, pages.tables_freed()] {
                assert_eq!(FlushRequest::from_word(request.to_word()), request);
            }
        }
        let long = FlushRequest::pages(range(0, 256, PageSize::Size4K));
        assert_eq!(FlushRequest::from_word(long.to_word()), FlushRequest::all());
        for request in [FlushRequest::all().tables_freed(), FlushRequest::contexts()] {
            assert_eq!(FlushRequest::from_word(request.to_word()), request);
        }
    }

    #[test]
    fn nothing_but_contexts_is_taken_for_contexts() {
        let sizes = [0, 1, 2, 3, 4, 5, 6].map(PageSize::from_code);
        let all = sizes.map(|size| FlushRequest::pages(range(0, 1, size))).into_iter();
        for request in all.chain([FlushRequest::all()]) {
            assert!(!request.syncs_contexts() && !request.tables_freed().syncs_contexts());
        }
        assert!(FlushRequest::contexts().up_to(1).syncs_contexts());
    }

    #[test]
    fn cover_holds_both_ranges_at_the_top_too() {
        let low = range(0x1000, 1, PageSize::Size4K);
        let top = range(0xffff_ffff_ffff_f000, 1, PageSize::Size4K);
        let both = low.cover(top);
        assert_eq!((both.start(), both.last()), (VirtAddr(0x1000), u64::MAX));
        let mixed = low.cover(range(0x20_0000, 1, PageSize::Size2M));
        assert_eq!((mixed.size(), mixed.count()), (PageSize::Size4K, 0x3ff));
    }
}
