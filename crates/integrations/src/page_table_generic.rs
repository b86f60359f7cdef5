//! Page tables of [`page-table-generic`](::page_table_generic), the axplat family's: changes go through a gather.
//!
//! A table of `page-table-generic` flushes at each change, by `TableMeta::flush`: the CPU that runs it. It can also
//! hand its empty tables out (`unmap_page_deferred`), for a caller that knows when no CPU walks them any more, as a
//! gather of the engine does. [`SharedPageTable`] is the same table without the flush; pages are unmapped and protected
//! through a gather, which flushes every CPU that may hold the old entries before it lets go of frames and tables.
//! There is no way to change the table past the gather.
//!
//! ```
//! use page_table_generic::{FrameAllocator, PhysAddr, TableMeta, VirtAddr};
//! use shootdown::refs::UserRef;
//! use shootdown::{Platform, Shootdown};
//! use shootdown_integrations::page_table_generic::{Held, GatherError, SharedPageTable};
//!
//! /// Unmaps a page; `Frame` is whatever gives the memory back when it is dropped.
//! fn munmap<P: Platform, M: TableMeta, A: FrameAllocator, Frame>(
//!     engine: &Shootdown<P>,
//!     user: &UserRef<'_, P>,
//!     table: &mut SharedPageTable<M, A>, // locked by the caller
//!     address: VirtAddr,
//!     own: impl FnOnce(PhysAddr, usize) -> Frame,
//! ) -> Result<(), GatherError> {
//!     let mut gather = engine.gather::<Held<Frame, A>, 8>(user);
//!     table.unmap(&mut gather, address, own)?;
//!     gather.finish(); // flushes, waits, drops the frame and the tables
//!     Ok(())
//! }
//! ```
//!
//! A mapped page is not mapped to another frame in one step: Arm allows it in no order but unmap, flush, map
//! (break-before-make), and that is what `unmap`, `finish` and `map` do. It needs Rust 1.88, as `page-table-generic`
//! does.

use ::page_table_generic::{
    DeferredPageTableFrames, FrameAllocator, MapConfig, PageTable, PagingError, PhysAddr, PteConfigOf,
    TableMeta, VirtAddr,
};
use core::fmt;
use core::marker::PhantomData;
use shootdown::Platform;
use shootdown::flush::{Gather, PageRange, PageSize};

/// Metadata of `M` without its flush, which reaches the CPU that runs it and no other.
#[derive(Clone, Copy)]
struct Unflushed<M>(PhantomData<M>);

impl<M: TableMeta> TableMeta for Unflushed<M> {
    type P = M::P;
    const PAGE_SIZE: usize = M::PAGE_SIZE;
    const LEVEL_BITS: &[usize] = M::LEVEL_BITS;
    const MAX_BLOCK_LEVEL: usize = M::MAX_BLOCK_LEVEL;
    const STRICT_ADDRESS_WIDTH: bool = M::STRICT_ADDRESS_WIDTH;

    fn canonicalize_vaddr(address: VirtAddr) -> VirtAddr {
        M::canonicalize_vaddr(address)
    }
    /// Does nothing: what changes is recorded by a gather, which flushes every CPU.
    fn flush(_: Option<VirtAddr>) {}
}

/// A page table that is changed only through a gather, so that every change is flushed.
///
/// `M` is the metadata that the table would have by itself, and `A` the allocator of its tables. Dropping it frees its
/// tables: keep it beside the engine's `AddressSpace`, and drop it where that is dropped, when no CPU has the root
/// loaded.
///
/// It lacks the methods that change an entry without a flush:
///
/// ```compile_fail,E0599
/// use page_table_generic::{FrameAllocator, TableMeta, VirtAddr};
/// use shootdown_integrations::page_table_generic::SharedPageTable;
///
/// fn past<M: TableMeta, A: FrameAllocator>(table: &mut SharedPageTable<M, A>, address: VirtAddr) {
///     let _ = table.unmap_page(address);
/// }
/// ```
pub struct SharedPageTable<M: TableMeta, A: FrameAllocator> {
    table: PageTable<Unflushed<M>, A>,
}

/// What a gather holds until no CPU can reach it: a frame in the owner's type, or tables that became empty.
pub struct Held<F, A: FrameAllocator>(Kind<F, A>);

enum Kind<F, A: FrameAllocator> {
    Frame(F),
    /// Taken by the drop alone.
    PageTables(Option<DeferredPageTableFrames<A>>),
}

impl<F, A: FrameAllocator> Held<F, A> {
    /// The frame; `None` for tables.
    pub fn frame(&self) -> Option<&F> {
        match &self.0 {
            Kind::Frame(frame) => Some(frame),
            Kind::PageTables(_) => None,
        }
    }
}

impl<F, A: FrameAllocator> Drop for Held<F, A> {
    fn drop(&mut self) {
        let Kind::PageTables(tables) = &mut self.0 else { return };
        if let Some(tables) = tables.take() {
            // SAFETY: only `SharedPageTable::unmap` makes this, and hands it to a gather at once, which drops it after
            // every CPU has forgotten what it walked.
            unsafe { tables.reclaim() };
        }
    }
}

impl<F, A: FrameAllocator> fmt::Debug for Held<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.frame().is_some() { "Held(frame)" } else { "Held(tables)" })
    }
}

/// Why a change was refused. The page table is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatherError {
    /// The gather has less room than for a frame and its tables, 2: finish it, open another, and ask again.
    Full,
    /// A page of a size in bytes that the engine does not know was found.
    Size(usize),
    /// The page table's reason.
    Paging(PagingError),
}

impl fmt::Display for GatherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatherError::Full => {
                f.write_str("the gather has no room for a frame and its tables; open another")
            }
            GatherError::Size(bytes) => write!(f, "pages of {bytes:#x} bytes are not flushed by the engine"),
            GatherError::Paging(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for GatherError {}

impl<M: TableMeta, A: FrameAllocator> SharedPageTable<M, A> {
    /// Makes a table with nothing mapped.
    ///
    /// # Errors
    /// No frame for the root.
    pub fn new(allocator: A) -> Result<Self, PagingError> {
        Ok(Self { table: PageTable::new(allocator)? })
    }

    /// Address of the root, for [`Platform::Root`].
    pub const fn root_paddr(&self) -> PhysAddr {
        self.table.root_paddr()
    }

    /// Frame, flags and size of what is mapped at `address`.
    ///
    /// # Errors
    /// It is not mapped.
    pub fn query(&self, address: VirtAddr) -> Result<(PhysAddr, PteConfigOf<M>, usize), PagingError> {
        self.table.query(address)
    }

    /// Maps what is not mapped. No CPU holds a translation of it, so nothing is flushed, whatever the request says
    /// about flushing. A CPU that has cached "not present" (as RISC-V allows) faults once, and finds the entry when it
    /// walks again.
    ///
    /// # Errors
    /// [`GatherError::Paging`].
    pub fn map(&mut self, request: &MapConfig<PteConfigOf<M>>) -> Result<(), GatherError> {
        self.table.map(request).map_err(GatherError::Paging)
    }

    /// Unmaps the page at `address`. Holds its frame, which `own` makes from the address, until no CPU can reach it,
    /// and holds the tables that become empty in the same way.
    ///
    /// # Errors
    /// [`GatherError`]; then nothing was changed.
    pub fn unmap<P: Platform, F, const N: usize>(
        &mut self,
        gather: &mut Gather<'_, P, Held<F, A>, N>,
        address: VirtAddr,
        own: impl FnOnce(PhysAddr, usize) -> F,
    ) -> Result<(), GatherError> {
        if gather.room() < 2 {
            return Err(GatherError::Full);
        }
        let range = self.mapped(address)?;
        let unmapped = self.table.unmap_page_deferred(address).map_err(GatherError::Paging)?;
        let (frame, _, size, tables) = unmapped;
        let mut recorded = gather.unmapped(range, Held(Kind::Frame(own(frame, size))));
        if !tables.is_empty() {
            recorded = gather.table_freed(range, Held(Kind::PageTables(Some(tables))));
        }
        debug_assert!(recorded.is_ok(), "there was room");
        Ok(())
    }

    /// Changes the flags of the page at `address`.
    ///
    /// # Errors
    /// [`GatherError`]; then nothing was changed.
    pub fn protect<P: Platform, F, const N: usize>(
        &mut self,
        gather: &mut Gather<'_, P, Held<F, A>, N>,
        address: VirtAddr,
        flags: PteConfigOf<M>,
    ) -> Result<(), GatherError> {
        let range = self.mapped(address)?;
        self.table.protect_page(address, flags).map_err(GatherError::Paging)?;
        gather.changed(range);
        Ok(())
    }

    /// The page that is mapped at `address`, in the engine's type.
    fn mapped(&self, address: VirtAddr) -> Result<PageRange, GatherError> {
        let (_, _, bytes) = self.table.query(address).map_err(GatherError::Paging)?;
        let sizes = [
            PageSize::Size4K,
            PageSize::Size16K,
            PageSize::Size64K,
            PageSize::Size2M,
            PageSize::Size32M,
            PageSize::Size512M,
            PageSize::Size1G,
        ];
        let size =
            sizes.into_iter().find(|size| size.bytes() == bytes as u64).ok_or(GatherError::Size(bytes))?;
        let start = address.as_usize() as u64 & !(size.bytes() - 1);
        // The start is aligned, and one page never passes the end.
        PageRange::new(shootdown::flush::VirtAddr(start), 1, size).map_err(|_| GatherError::Size(bytes))
    }
}

impl<M: TableMeta, A: FrameAllocator> fmt::Debug for SharedPageTable<M, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPageTable").field("root", &self.table.root_paddr()).finish()
    }
}
