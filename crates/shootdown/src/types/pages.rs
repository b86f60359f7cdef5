//! The pages that a platform goes through one by one.

use super::{PageRange, PageSize, VirtAddr};

/// Pages of one size, in order: what a platform drops one by one.
///
/// # Examples
/// Hardware may have other pages than the range is made of:
/// ```
/// use shootdown::flush::{PageRange, PageSize, Pages, VirtAddr};
///
/// let small = PageRange::new(VirtAddr(0x3000), 2, PageSize::Size4K)?;
/// assert!(small.pages().eq([VirtAddr(0x3000), VirtAddr(0x4000)]));
/// let of_8_kib = Pages::holding(small, 13);
/// assert!(of_8_kib.eq([VirtAddr(0x2000), VirtAddr(0x4000)]));
/// # Ok::<(), shootdown::flush::RangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    next: u64,
    count: u64,
    shift: u32,
}

impl Pages {
    /// No pages.
    pub const NONE: Self = Self { next: 0, count: 0, shift: 0 };

    /// Returns the pages of `size` that `range` is made of; they are no larger than its own.
    #[inline]
    pub const fn of(range: PageRange, size: PageSize) -> Self {
        let shift = size.shift();
        Self { next: range.start, count: range.count << (range.size.shift() - shift), shift }
    }

    /// Returns the pages of `1 << shift` bytes that hold `range`, of whatever size its own are.
    #[inline]
    pub const fn holding(range: PageRange, shift: u32) -> Self {
        let first = range.start >> shift;
        Self { next: first << shift, count: (range.last() >> shift) - first + 1, shift }
    }

    /// Number of pages that are left.
    #[inline]
    pub const fn remaining(&self) -> u64 {
        self.count
    }

    /// The next page, if one is left.
    #[inline]
    pub const fn start(&self) -> VirtAddr {
        VirtAddr(self.next)
    }

    /// The last page, if one is left.
    #[inline]
    pub const fn last_page(&self) -> VirtAddr {
        VirtAddr(self.next.wrapping_add(self.count.wrapping_sub(1) << self.shift))
    }

    /// Base-2 logarithm of the size of each.
    #[inline]
    pub const fn shift(&self) -> u32 {
        self.shift
    }

    /// Whether both ends lie in the same half of the address space: a range across the hole has pages in it.
    #[inline]
    pub const fn in_one_half(&self) -> bool {
        self.next >> 63 == self.last_page().0 >> 63
    }

    /// Leaves out so many pages, which it has.
    #[inline]
    pub const fn skip_pages(&mut self, pages: u64) {
        self.count -= pages;
        self.next = self.next.wrapping_add(pages << self.shift);
    }
}

impl Iterator for Pages {
    type Item = VirtAddr;

    #[inline]
    fn next(&mut self) -> Option<VirtAddr> {
        self.count = self.count.checked_sub(1)?;
        let page = VirtAddr(self.next);
        self.next = self.next.wrapping_add(1 << self.shift);
        Some(page)
    }
}
