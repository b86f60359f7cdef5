//! The translations that a guest's fence names.

use shootdown::flush::{PageRange, PageSize, VirtAddr};

/// What a guest wants dropped of its own translations: `sfence.vma`, SBI's remote fences, a guest's TLBI or INVLPG.
///
/// # Examples
/// ```
/// use shootdown_host::Fence;
/// use shootdown_host::shootdown::flush::{PageRange, VirtAddr};
///
/// let fence = Fence::bytes(0x1800, 0x1000).in_space(7);
/// assert_eq!((fence.range.map(|range| range.count()), fence.asid), (Some(2), Some(7)));
/// assert_eq!(Fence::bytes(0, 0), Fence::ALL); // SBI: the whole space
/// assert_eq!(Fence::bytes(0x1000, u64::MAX), Fence::ALL); // what does not fit is widened
/// assert_eq!(Fence::pages(PageRange::page(VirtAddr(0x1800))), Fence::bytes(0x1000, 0x1000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The pages; `None` for everything.
    pub range: Option<PageRange>,
    /// Which of the guest's own address spaces (an ASID, a PCID), or all.
    pub asid: Option<u16>,
}

impl Fence {
    /// Everything, in all of the guest's address spaces.
    pub const ALL: Self = Self { range: None, asid: None };

    /// The leaves that have an address in `range`.
    pub const fn pages(range: PageRange) -> Self {
        Self { range: Some(range), asid: None }
    }

    /// The leaves that have one of `size` bytes from `start`, in the encoding of SBI's remote fences: 0 and 0, or a
    /// size of all ones, mean everything. Any value of a guest is accepted; a range that does not fit becomes
    /// everything.
    pub fn bytes(start: u64, size: u64) -> Self {
        let first = start & !0xfff;
        let pages = size.checked_add(start & 0xfff).map(|bytes| bytes.div_ceil(4096));
        let range = pages.filter(|_| (start | size) != 0);
        let range = range.and_then(|pages| PageRange::new(VirtAddr(first), pages, PageSize::Size4K).ok());
        range.map_or(Self::ALL, Self::pages)
    }

    /// In one of the guest's address spaces alone.
    #[must_use]
    pub const fn in_space(self, asid: u16) -> Self {
        Self { range: self.range, asid: Some(asid) }
    }
}
