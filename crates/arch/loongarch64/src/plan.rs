//! The choice of instructions for a request.

use crate::encode::{Asid, BasePage, Root, is_valid};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, Pages};
use shootdown::tags::{OnInstall, Tag};

/// Most pages that are dropped one by one; [`shootdown::Platform::RANGE_CEILING`]. [`Strategies::with_ceiling`] counts
/// TLB entries, of which two pages make one.
///
/// Linux goes up to an eighth of the TLB (`local_flush_tlb_range`, arch/loongarch/mm/tlb.c), which is 264 entries on a
/// 3A5000; this is half of that, for smaller TLBs. It was not measured here.
pub const RANGE_CEILING: u64 = 256;

/// How misses are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walker {
    /// By a handler of the kernel's, which caches no tables.
    Software,
    /// By the core, which may cache tables. The manual promises for no INVTLB that it drops cached tables, so a freed
    /// table drops everything.
    Hardware,
}

/// How the kernel's own pages are mapped, where they are not in a direct-mapped window, which has no translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelMappings {
    /// As global pages, both of each pair.
    Global,
    /// As others: every ASID may have its copy.
    PerTag,
}

/// The hardware features in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategies {
    base: BasePage,
    kernel: KernelMappings,
    walker: Walker,
    asid_bits: u32,
    virtual_bits: u32,
    ceiling: u64,
}

impl Strategies {
    /// Settings that work on every core: no ASIDs, addresses of 48 bits, and a walker that may be the core's.
    pub const fn new(base: BasePage, kernel: KernelMappings) -> Self {
        let ceiling = RANGE_CEILING / 2;
        Self { base, kernel, walker: Walker::Hardware, asid_bits: 0, virtual_bits: 48, ceiling }
    }

    /// Serves misses as `walker` says: by software where [`crate::encode::has_walker`] says no, or the walker is off.
    pub const fn with_walker(mut self, walker: Walker) -> Self {
        self.walker = walker;
        self
    }

    /// Uses ASIDs of `bits` bits: the fewest that [`crate::encode::asid_bits`] found on any core.
    pub const fn with_asids(mut self, bits: u32) -> Self {
        self.asid_bits = if bits > 10 { 10 } else { bits };
        self
    }

    /// Takes virtual addresses for `bits` wide, which is what [`crate::encode::virtual_bits`] found.
    pub const fn with_virtual_bits(mut self, bits: u32) -> Self {
        self.virtual_bits = if bits < 32 {
            32
        } else if bits > 64 {
            64
        } else {
            bits
        };
        self
    }

    /// Drops ranges of more than `entries` TLB entries as a whole.
    pub const fn with_ceiling(mut self, entries: u64) -> Self {
        self.ceiling = entries;
        self
    }

    /// Bits of the ASIDs that are used; 0 for none.
    pub const fn asid_bits(&self) -> u32 {
        self.asid_bits
    }

    /// Returns the ASID that stands for `tag`. [`Asid::SHARED`], which is flushed at each load, stands for tags that
    /// are no ASID, and for all where there are none.
    pub const fn asid(&self, tag: Tag) -> Asid {
        match self.exact(tag) {
            Some(asid) => asid,
            None => Asid::SHARED,
        }
    }

    const fn exact(&self, tag: Tag) -> Option<Asid> {
        if self.asid_bits == 0 {
            return Some(Asid::SHARED);
        }
        match Asid::new(tag.number(), self.asid_bits) {
            Ok(asid) => Some(asid),
            Err(_) => None,
        }
    }

    /// Chooses the instructions for `what`.
    #[inline]
    pub const fn local(&self, what: LocalFlush) -> Step {
        if what.request.syncs_contexts() {
            return Step::Nothing;
        }
        let pages = match what.request.range() {
            Some(range) => self.one_by_one(range),
            None => None,
        };
        // Everything under a tag takes the tables that are cached along.
        let tables = what.request.frees_tables() || what.request.range().is_none();
        let cached = tables && matches!(self.walker, Walker::Hardware);
        let Some(tag) = what.tag else {
            return match (self.kernel, what.request.range(), pages) {
                (KernelMappings::Global, Some(_), Some(pages)) if !cached => Step::GlobalPages(pages),
                (KernelMappings::Global, Some(_), None) if !cached => Step::Globals,
                _ => Step::All,
            };
        };
        match (self.exact(tag), pages) {
            (Some(_), _) if cached => Step::All,
            (Some(asid), Some(pages)) => Step::Pages(pages, asid),
            (Some(asid), None) => Step::Asid(asid),
            (None, _) => Step::All,
        }
    }

    /// Whether IBAR follows what [`local`](Self::local) chose: `request` is for contexts, or is for everything and so
    /// may stand for one that was.
    #[inline]
    pub const fn syncs_contexts(request: FlushRequest) -> bool {
        request.syncs_contexts() || request.range().is_none()
    }

    /// The TLB entries of `range`, unless they are too many or not all addresses are valid.
    #[inline]
    const fn one_by_one(&self, range: PageRange) -> Option<Pages> {
        // An address in each entry.
        let pages = Pages::holding(range, self.base.stride_shift(range.size()));
        let bits = self.virtual_bits;
        let valid = is_valid(pages.start(), bits) && is_valid(pages.last_page(), bits);
        if pages.remaining() <= self.ceiling && pages.in_one_half() && valid { Some(pages) } else { None }
    }

    /// Chooses how to load a root.
    ///
    /// Root and ASID are two registers. ASID 0 is loaded meanwhile, so that nothing is filled under an ASID from
    /// another space's tables; and what goes, goes then: under another ASID it cannot be filled again, and under ASID 0
    /// only from the new root.
    #[inline]
    pub const fn install(&self, root: Root, tag: Tag, how: OnInstall) -> Install {
        let asid = self.asid(tag);
        let flush = matches!(how, OnInstall::Flush) || asid.number() == Asid::SHARED.number();
        let step = match self.walker {
            Walker::Software => Step::Asid(asid),
            Walker::Hardware => Step::All,
        };
        Install { root, between: if flush { Some(step) } else { None }, asid }
    }
}

/// Instructions for a local request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// INVTLB 5 for each entry and this ASID.
    Pages(Pages, Asid),
    /// INVTLB 6 for each entry, with ASID 0: global translations, and those of ASID 0.
    GlobalPages(Pages),
    /// INVTLB 4: an ASID, global translations excepted.
    Asid(Asid),
    /// INVTLB 2: global translations.
    Globals,
    /// INVTLB 0: everything.
    All,
    /// No INVTLB: contexts are all that is asked for.
    Nothing,
}

/// How a root is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Install {
    /// After ASID 0 was loaded, this is written to CSR.PGDL.
    pub root: Root,
    /// Then this is flushed, if anything.
    pub between: Option<Step>,
    /// Then this ASID is loaded; and IBAR follows if anything went.
    pub asid: Asid,
}

#[cfg(test)]
mod tests;
