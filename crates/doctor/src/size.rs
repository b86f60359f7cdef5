//! How large the simulated machine is, and where its pages lie.

use shootdown::flush::{PageRange, PageSize, VirtAddr};

/// Tags of the machine, 0 counted.
pub(crate) const TAGS: usize = 6;
/// Pages of a space, and of kernel memory.
pub(crate) const PAGES: u64 = 2;
/// Most pages of a range that checks have dropped, whatever a platform's ceiling.
const LONGEST: u64 = 33;

/// How the two pages of the machine are laid out in a range: its first page and its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Side by side.
    Pair,
    /// At both ends of a range that is as long as the platform has dropped page by page.
    Ends,
    /// Side by side, of 2 MiB each.
    Large,
}

impl Layout {
    pub(crate) const ALL: [Layout; 3] = [Layout::Pair, Layout::Ends, Layout::Large];

    /// The range, in memory of users or of the kernel. No part of an address is 0, so that none is lost unseen.
    pub(crate) fn range(self, kernel: bool, ceiling: u64) -> PageRange {
        let base = if kernel { 0xffff_ffd2_4020_0000 } else { 0x32_4020_0000 };
        let (place, count, size) = match self {
            Layout::Pair => (1, 2, PageSize::Size4K),
            Layout::Ends => (2, ceiling.clamp(2, LONGEST), PageSize::Size4K),
            Layout::Large => (3, 2, PageSize::Size2M),
        };
        PageRange::new(VirtAddr(base + (place << 30)), count, size)
            .expect("a range of both halves' addresses")
    }

    /// The page of the machine at `address`.
    pub(crate) fn page(self, address: u64, kernel: bool, ceiling: u64) -> Option<usize> {
        let range = self.range(kernel, ceiling);
        let place = address.checked_sub(range.start().0)? >> range.size().shift();
        if place == range.count() - 1 { Some(1) } else { (place == 0).then_some(0) }
    }
}
