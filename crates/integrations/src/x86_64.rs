//! Page tables of the [`::x86_64`] crate: its flush tokens become entries of a gather.
//!
//! The mappers of `x86_64` answer with tokens, `MapperFlush` and `MapperFlushAll`, whose `flush()` reaches the CPU that
//! calls it and no other. [`MapperGather`] takes the tokens instead, and a gather of the engine flushes every CPU that
//! may hold the old entries, before it lets go of the frames.
//!
//! ```
//! use shootdown::refs::UserRef;
//! use shootdown::{Platform, Shootdown};
//! use shootdown_integrations::x86_64::{MapperGather, GatherError};
//! use ::x86_64::structures::paging::{Mapper, Page, PhysFrame, Size4KiB};
//!
//! /// Unmaps a page; `Frame` is whatever gives the memory back when it is dropped.
//! fn munmap<P: Platform, Frame>(
//!     engine: &Shootdown<P>,
//!     user: &UserRef<'_, P>,
//!     mapper: &mut impl Mapper<Size4KiB>, // locked by the caller
//!     page: Page<Size4KiB>,
//!     own: impl FnOnce(PhysFrame) -> Frame,
//! ) -> Result<(), GatherError> {
//!     let mut gather = engine.gather::<Frame, 8>(user);
//!     gather.unmap(mapper, page, own)?;
//!     gather.finish(); // flushes, waits, drops the frame
//!     Ok(())
//! }
//! ```
//!
//! | what the mapper did | what to call |
//! |---|---|
//! | nothing yet: unmap a page | `gather.unmap(mapper, page, own)` |
//! | `unmap` | `gather.unmapped_by(token, frame)` |
//! | `update_flags` | `gather.changed_by(token)` |
//! | `set_flags_p4_entry`, `..._p3_...`, `..._p2_...` | `gather.changed_all_by(token)` |
//! | `map_to` | `gather.mapped_by(token)`, which does nothing, and says why |
//! | nothing yet: free empty tables | `gather.clean_up(mapper, range, own)` |
//!
//! The `instructions` feature of `x86_64` is not used, so that this builds and is tested on any host.

use ::x86_64::structures::paging::mapper::{CleanUp, MapperFlush, MapperFlushAll, UnmapError};
use ::x86_64::structures::paging::page::PageRangeInclusive;
use ::x86_64::structures::paging::{
    FrameDeallocator, Mapper, Page, PageSize, PhysFrame, Size1GiB, Size2MiB, Size4KiB,
};
use shootdown::Platform;
use shootdown::flush::{Full, Gather, PageRange, VirtAddr};

/// A page size of the `x86_64` crate, by the engine's name.
pub trait Size: PageSize + sealed::Sealed {
    /// The engine's name for it.
    const ENGINES: shootdown::flush::PageSize;
}

mod sealed {
    /// The sizes are those of the architecture.
    pub trait Sealed {}
}

macro_rules! sizes {
    ($($theirs:ty => $ours:ident,)*) => {$(
        impl sealed::Sealed for $theirs {}
        impl Size for $theirs {
            const ENGINES: shootdown::flush::PageSize = shootdown::flush::PageSize::$ours;
        }
    )*};
}
sizes! {
    Size4KiB => Size4K,
    Size2MiB => Size2M,
    Size1GiB => Size1G,
}

/// Why a page was not unmapped. The page table is as it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum GatherError {
    /// The gather has no place for this many frames: finish it, open another, and ask again.
    Full(usize),
    /// The mapper's reason.
    Mapper(UnmapError),
}

impl core::fmt::Display for GatherError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            GatherError::Full(needed) => {
                write!(f, "the gather has no room for {needed} frames; finish it and open another")
            }
            GatherError::Mapper(error) => write!(f, "{error:?}"),
        }
    }
}

impl core::error::Error for GatherError {}

/// Methods of a gather for the mappers of the `x86_64` crate.
pub trait MapperGather<F> {
    /// Unmaps `page`, and holds its frame, which `own` converts, until no CPU can reach it.
    ///
    /// # Errors
    /// [`GatherError`]; then nothing was changed.
    fn unmap<S: Size, M: Mapper<S>>(
        &mut self,
        mapper: &mut M,
        page: Page<S>,
        own: impl FnOnce(PhysFrame<S>) -> F,
    ) -> Result<(), GatherError>;

    /// Takes the token of a page that was unmapped since this gather was opened, and the page's frame.
    ///
    /// # Errors
    /// [`Full`], with both: nothing was recorded. They must go to another gather that is opened before the page table's
    /// lock is dropped.
    fn unmapped_by<S: Size>(
        &mut self,
        token: MapperFlush<S>,
        frame: F,
    ) -> Result<(), Full<(MapperFlush<S>, F)>>;

    /// Takes the token of a page whose flags were changed (`update_flags`).
    fn changed_by<S: Size>(&mut self, token: MapperFlush<S>);

    /// Takes the token of an upper entry whose flags were changed (`set_flags_p4_entry` and the like): flushes
    /// everything.
    fn changed_all_by(&mut self, token: MapperFlushAll);

    /// Takes the token of a page that was mapped where nothing was mapped before. No CPU can hold anything of it (SDM
    /// volume 3, 4.10.2.3), so nothing needs to be flushed.
    fn mapped_by<S: Size>(&mut self, token: MapperFlush<S>);

    /// Frees the tables of `range` that have become empty, each converted by `own`, once no CPU can walk them.
    ///
    /// It goes as far as the gather has room for. Returns the page at which it stopped, or `None` at the end of the
    /// range. To go on, finish the gather, open another, and clean up from that page to the end of the range.
    ///
    /// # Errors
    /// [`GatherError::Full`] if the gather has no room for the three tables of one page; then nothing was changed.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the requirement of [`CleanUp::clean_up_addr_range`] holds: each table is used once, and in this page table
    ///    alone.
    #[expect(unsafe_code, reason = "hands the mapper's obligation on")]
    unsafe fn clean_up<M: CleanUp>(
        &mut self,
        mapper: &mut M,
        range: PageRangeInclusive,
        own: impl FnMut(PhysFrame) -> F,
    ) -> Result<Option<Page>, GatherError>;
}

impl<P: Platform, F, const N: usize> MapperGather<F> for Gather<'_, P, F, N> {
    fn unmap<S: Size, M: Mapper<S>>(
        &mut self,
        mapper: &mut M,
        page: Page<S>,
        own: impl FnOnce(PhysFrame<S>) -> F,
    ) -> Result<(), GatherError> {
        if self.room() == 0 {
            return Err(GatherError::Full(1));
        }
        let (frame, token) = mapper.unmap(page).map_err(GatherError::Mapper)?;
        token.ignore();
        let recorded = self.unmapped(range(page), own(frame));
        debug_assert!(recorded.is_ok(), "there was room");
        Ok(())
    }

    fn unmapped_by<S: Size>(
        &mut self,
        token: MapperFlush<S>,
        frame: F,
    ) -> Result<(), Full<(MapperFlush<S>, F)>> {
        match self.unmapped(range(token.page()), frame) {
            Ok(()) => {
                token.ignore();
                Ok(())
            }
            Err(full) => Err(full.map(|frame| (token, frame))),
        }
    }

    fn changed_by<S: Size>(&mut self, token: MapperFlush<S>) {
        self.changed(range(token.page()));
        token.ignore();
    }

    fn changed_all_by(&mut self, token: MapperFlushAll) {
        self.changed_all();
        token.ignore();
    }

    fn mapped_by<S: Size>(&mut self, token: MapperFlush<S>) {
        token.ignore();
    }

    #[expect(unsafe_code, reason = "hands the mapper's obligation on")]
    unsafe fn clean_up<M: CleanUp>(
        &mut self,
        mapper: &mut M,
        pages: PageRangeInclusive,
        mut own: impl FnMut(PhysFrame) -> F,
    ) -> Result<Option<Page>, GatherError> {
        let mut next = (!pages.is_empty()).then_some(pages.start);
        while let Some(start) = next {
            let part = match part_with_tables(start, self.room()) {
                Some(end) => Page::range_inclusive(start, end.min(pages.end)),
                None if start == pages.start => return Err(GatherError::Full(PER_PAGE)),
                None => return Ok(Some(start)),
            };
            let mut tables = Tables { gather: self, range: covering(part), own: &mut own };
            // SAFETY: 1. the caller's.
            unsafe { mapper.clean_up_addr_range(part, &mut tables) };
            next = if part.end == pages.end { None } else { page_after(part.end) };
        }
        Ok(None)
    }
}

/// Takes the tables that a mapper gives back.
struct Tables<'g, 'a, P: Platform, F, const N: usize, O> {
    gather: &'g mut Gather<'a, P, F, N>,
    range: PageRange,
    own: O,
}

#[expect(unsafe_code, reason = "a trait of the x86_64 crate")]
impl<P: Platform, F, const N: usize, O: FnMut(PhysFrame) -> F> FrameDeallocator<Size4KiB>
    for Tables<'_, '_, P, F, N, O>
{
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
        let table = (self.own)(frame);
        if let Err(full) = self.gather.table_freed(self.range, table) {
            // More tables than the range has: a table may still be walked, so it is lost, not given back.
            debug_assert!(false, "room was made for every table");
            core::mem::forget(full);
        }
    }
}

fn range<S: Size>(page: Page<S>) -> PageRange {
    let start = page.start_address().as_u64();
    // A page of the `x86_64` crate is aligned, and one is never too many.
    PageRange::new(VirtAddr(start), 1, S::ENGINES).unwrap_or(PageRange::page(VirtAddr(start)))
}

/// The run of pages as the engine has it; it lies within 1 GiB.
fn covering(pages: PageRangeInclusive) -> PageRange {
    let (start, end) = (pages.start.start_address().as_u64(), pages.end.start_address().as_u64());
    let count = (end.saturating_sub(start) >> 12) + 1;
    let start = VirtAddr(start);
    PageRange::new(start, count, shootdown::flush::PageSize::Size4K).unwrap_or(PageRange::page(start))
}

/// Tables of levels 1 to 3 that an entry can be in.
const PER_PAGE: usize = 3;

/// The last page, of those from `start` on, up to which entries are in no more than `most` tables. It is in the same
/// GiB, so that there is one table of level 2 and one of level 3; each 2 MiB have one of level 1.
fn part_with_tables(start: Page, most: usize) -> Option<Page> {
    let regions = most.checked_sub(PER_PAGE)? as u64;
    let address = start.start_address().as_u64();
    let (region, whole) = (address >> 21, (address >> 30) << 9 | 0x1ff);
    let last = region.saturating_add(regions).min(whole);
    Some(Page::containing_address(::x86_64::VirtAddr::new_truncate(last << 21 | 0x1f_f000)))
}

/// The page that follows, across the gap between the halves of the address space; nothing after the last one.
fn page_after(page: Page) -> Option<Page> {
    let next = page.start_address().as_u64().checked_add(0x1000)?;
    Some(Page::containing_address(::x86_64::VirtAddr::new_truncate(next)))
}
