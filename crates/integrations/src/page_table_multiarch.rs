//! Page tables of [`::page_table_multiarch`], ArceOS's: changes go through a gather.
//!
//! A cursor of `page_table_multiarch` flushes when it is dropped, by `PagingMetaData::flush_tlb`: the CPU that runs it,
//! and on most architectures no other. [`SharedPageTable`] is the same table without that flush and without the cursor;
//! pages are unmapped and protected through a gather of the engine, which flushes every CPU that may hold the old
//! entries before it lets go of the frames. There is no way to change the table past the gather.
//!
//! ```
//! use page_table_multiarch::{GenericPTE, PageSize, PagingHandler, PagingMetaData};
//! use shootdown::refs::UserRef;
//! use shootdown::{Platform, Shootdown};
//! use shootdown_integrations::page_table_multiarch::{PhysAddr, GatherError, SharedPageTable};
//!
//! /// Unmaps a page; `Frame` is whatever gives the memory back when it is dropped.
//! fn munmap<P: Platform, M: PagingMetaData, T: GenericPTE, H: PagingHandler, Frame>(
//!     engine: &Shootdown<P>,
//!     user: &UserRef<'_, P>,
//!     table: &mut SharedPageTable<M, T, H>, // locked by the caller
//!     address: M::VirtAddr,
//!     own: impl FnOnce(PhysAddr, PageSize) -> Frame,
//! ) -> Result<(), GatherError> {
//!     let mut gather = engine.gather::<Frame, 8>(user);
//!     table.unmap(&mut gather, address, own)?;
//!     gather.finish(); // flushes, waits, drops the frame
//!     Ok(())
//! }
//! ```
//!
//! A mapped page is not mapped to another frame in one step: Arm allows it in no order but unmap, flush, map
//! (break-before-make), and that is what `unmap`, `finish` and `map` do.
//!
//! Intermediate tables stay until the whole table is dropped, as in `page_table_multiarch`.
//! It needs Rust 1.88, as `page_table_multiarch` does.

use ::page_table_multiarch::{
    GenericPTE, MappingFlags, PageSize, PageTable64, PagingError, PagingHandler, PagingMetaData,
};
use core::fmt;
use core::marker::PhantomData;
use shootdown::Platform;
use shootdown::flush::{Gather, PageRange, VirtAddr};

/// Metadata of `M` without its flush, which reaches the CPU that runs it and no other.
struct Unflushed<M>(PhantomData<M>);

impl<M: PagingMetaData> PagingMetaData for Unflushed<M> {
    const LEVELS: usize = M::LEVELS;
    const PA_MAX_BITS: usize = M::PA_MAX_BITS;
    const VA_MAX_BITS: usize = M::VA_MAX_BITS;
    const PA_MAX_ADDR: usize = M::PA_MAX_ADDR;
    type VirtAddr = M::VirtAddr;

    #[inline]
    fn paddr_is_valid(address: usize) -> bool {
        M::paddr_is_valid(address)
    }
    #[inline]
    fn vaddr_is_valid(address: usize) -> bool {
        M::vaddr_is_valid(address)
    }
    /// Does nothing: what changes is recorded by a gather, which flushes every CPU.
    #[inline]
    fn flush_tlb(_: Option<M::VirtAddr>) {}
}

/// A page table that is changed only through a gather, so that every change is flushed.
///
/// `M` is the metadata that the table would have by itself (`Sv39MetaData`, `X64PagingMetaData`, ...). Dropping it
/// frees its tables: keep it beside the engine's `AddressSpace`, and drop it where that is dropped, when no CPU has the
/// root loaded.
///
/// It has no cursor, which could change an entry without a flush:
///
/// ```compile_fail,E0599
/// use page_table_multiarch::{GenericPTE, PagingHandler, PagingMetaData};
/// use shootdown_integrations::page_table_multiarch::SharedPageTable;
///
/// fn past<M: PagingMetaData, T: GenericPTE, H: PagingHandler>(table: &mut SharedPageTable<M, T, H>) {
///     table.cursor().flush();
/// }
/// ```
pub struct SharedPageTable<M: PagingMetaData, T: GenericPTE, H: PagingHandler> {
    table: PageTable64<Unflushed<M>, T, H>,
}

/// A physical address, as `page_table_multiarch` has it.
pub type PhysAddr = memory_addr::PhysAddr;

/// Why a change was refused. The page table is as it was.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum GatherError {
    /// The gather has no room: finish it, open another, and ask again.
    Full,
    /// A page of a size that the engine does not know was found or asked for (1 MiB, of 32-bit Arm).
    Size(PageSize),
    /// The page table's reason.
    Paging(PagingError),
}

impl fmt::Display for GatherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatherError::Full => f.write_str("the gather is full; finish it and open another"),
            GatherError::Size(size) => {
                write!(f, "pages of {size:?} are not flushed by the engine; map smaller ones")
            }
            GatherError::Paging(error) => write!(f, "{error:?}"),
        }
    }
}

impl core::error::Error for GatherError {}

impl<M: PagingMetaData, T: GenericPTE, H: PagingHandler> SharedPageTable<M, T, H> {
    /// Makes a table with nothing mapped.
    ///
    /// # Errors
    /// No frame for the root.
    pub fn try_new() -> Result<Self, PagingError> {
        Ok(Self { table: PageTable64::try_new()? })
    }

    /// Address of the root, for [`Platform::Root`].
    pub const fn root_paddr(&self) -> PhysAddr {
        self.table.root_paddr()
    }

    /// What `address` is mapped to.
    ///
    /// # Errors
    /// It is not mapped.
    pub fn query(&self, address: M::VirtAddr) -> Result<(PhysAddr, MappingFlags, PageSize), PagingError> {
        self.table.query(address)
    }

    /// Maps a page where nothing is mapped. No CPU holds a translation of it, so nothing is flushed. A CPU that has
    /// cached "not present" (as RISC-V allows) faults once, and finds the entry when it walks again.
    ///
    /// # Errors
    /// [`GatherError::Paging`].
    pub fn map(
        &mut self,
        address: M::VirtAddr,
        frame: PhysAddr,
        size: PageSize,
        flags: MappingFlags,
    ) -> Result<(), GatherError> {
        self.table.cursor().map(address, frame, size, flags).map_err(GatherError::Paging)
    }

    /// Unmaps the page at `address`, and holds its frame, which `own` makes from the address, until no CPU can reach
    /// it.
    ///
    /// # Errors
    /// [`GatherError`]; then nothing was changed.
    pub fn unmap<P: Platform, F, const N: usize>(
        &mut self,
        gather: &mut Gather<'_, P, F, N>,
        address: M::VirtAddr,
        own: impl FnOnce(PhysAddr, PageSize) -> F,
    ) -> Result<(), GatherError> {
        if gather.room() == 0 {
            return Err(GatherError::Full);
        }
        let range = self.mapped(address)?;
        let (frame, _, size) = self.table.cursor().unmap(address).map_err(GatherError::Paging)?;
        let recorded = gather.unmapped(range, own(frame, size));
        debug_assert!(recorded.is_ok(), "there was room");
        Ok(())
    }

    /// Changes the flags of the page at `address`.
    ///
    /// # Errors
    /// [`GatherError`]; then nothing was changed.
    pub fn protect<P: Platform, F, const N: usize>(
        &mut self,
        gather: &mut Gather<'_, P, F, N>,
        address: M::VirtAddr,
        flags: MappingFlags,
    ) -> Result<(), GatherError> {
        let range = self.mapped(address)?;
        self.table.cursor().protect(address, flags).map_err(GatherError::Paging)?;
        gather.changed(range);
        Ok(())
    }

    /// The page that is mapped at `address`, in the engine's type.
    fn mapped(&self, address: M::VirtAddr) -> Result<PageRange, GatherError> {
        let (_, _, size) = self.table.query(address).map_err(GatherError::Paging)?;
        let engines = match size {
            PageSize::Size4K => shootdown::flush::PageSize::Size4K,
            PageSize::Size2M => shootdown::flush::PageSize::Size2M,
            PageSize::Size1G => shootdown::flush::PageSize::Size1G,
            PageSize::Size1M => return Err(GatherError::Size(size)),
        };
        let address: usize = address.into();
        let start = address as u64 & !(engines.bytes() - 1);
        // The start is aligned, and one page never passes the end.
        PageRange::new(VirtAddr(start), 1, engines).map_err(|_| GatherError::Size(size))
    }
}

impl<M: PagingMetaData, T: GenericPTE, H: PagingHandler> fmt::Debug for SharedPageTable<M, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPageTable").field("root", &self.table.root_paddr()).finish()
    }
}
