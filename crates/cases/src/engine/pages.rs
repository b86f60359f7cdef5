//! Pages of the machine, as the engine addresses them.

use shootdown::flush::{FlushRequest, PageRange, VirtAddr};
use shootdown_machine::MAX_PAGES;
use shootdown_machine::hw::WalkCache;

pub(crate) fn page_address(page: usize) -> VirtAddr {
    VirtAddr((page as u64) << 12)
}

/// The machine's pages that a range covers.
pub(crate) fn pages(range: PageRange) -> impl Iterator<Item = usize> {
    let first = (range.start().0 >> 12) as usize;
    let last = first + (range.count() << (range.size().shift() - 12)) as usize;
    first.min(MAX_PAGES)..last.min(MAX_PAGES)
}

pub(crate) fn walk(request: FlushRequest) -> WalkCache {
    if request.frees_tables() { WalkCache::Drop } else { WalkCache::Keep }
}
