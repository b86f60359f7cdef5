//! The choice of instructions for a request.

use crate::encode::{Asid, Harts, Mode, Root, SbiCall, Span, remote_fence, remote_fence_i, satp};
use shootdown::flush::{FlushRequest, Levels, LocalFlush, PageRange, PageSize, Pages};
use shootdown::tags::{OnInstall, Tag};

/// Most pages that are dropped one by one; [`shootdown::Platform::RANGE_CEILING`] and the default of
/// [`Strategies::with_ceiling`].
///
/// Linux's number (`tlb_flush_all_threshold`, arch/riscv/mm/tlbflush.c): above 64 fences the loop costs more than
/// the refills after a full flush, on the cores that it was measured on.
pub const RANGE_CEILING: u64 = 64;

/// The effect of a write to satp on page walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SatpWrite {
    /// Nothing, as the manual has it (Priv, satp): a fence follows each, so that tags save nothing at a switch.
    NeedsFence,
    /// Walks through the new root begin after all earlier loads. True of cores that drain their pipeline at a CSR
    /// write, which Linux relies on (`set_mm_asid`, arch/riscv/mm/context.c); ask the core's vendor.
    OrdersWalks,
}

/// The hardware features in use. Extensions and the firmware's services are in the device tree, not in
/// registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategies {
    mode: Mode,
    asid_bits: u32,
    satp_write: SatpWrite,
    svinval: bool,
    sbi_fences: bool,
    code_changes: bool,
    ceiling: u64,
}

impl Strategies {
    /// Settings that work on every hart: no ASIDs, no Svinval, no firmware; code is changed under
    /// [`FlushRequest::contexts`].
    pub const fn new(mode: Mode) -> Self {
        let satp_write = SatpWrite::NeedsFence;
        Self {
            mode,
            asid_bits: 0,
            satp_write,
            svinval: false,
            sbi_fences: false,
            code_changes: true,
            ceiling: RANGE_CEILING,
        }
    }

    /// Uses ASIDs of `bits` bits: the fewest that [`crate::encode::asid_bits`] found on any hart.
    pub const fn with_asids(mut self, bits: u32, satp_write: SatpWrite) -> Self {
        self.asid_bits = if bits > 16 { 16 } else { bits };
        self.satp_write = satp_write;
        self
    }

    /// Uses Svinval, which all harts have.
    pub const fn with_svinval(mut self) -> Self {
        self.svinval = true;
        self
    }

    /// Uses the firmware's remote fences (extension RFENCE of the SBI).
    pub const fn with_sbi_fences(mut self) -> Self {
        self.sbi_fences = true;
        self
    }

    /// Nobody asks for [`FlushRequest::contexts`], so that flushes of everything save a `fence.i`, which costs the
    /// instruction cache. A request for contexts still gets its own.
    pub const fn without_code_changes(mut self) -> Self {
        self.code_changes = false;
        self
    }

    /// Drops ranges of more than `pages` pages as a whole.
    pub const fn with_ceiling(mut self, pages: u64) -> Self {
        self.ceiling = pages;
        self
    }

    /// Bits of the ASIDs that are used; 0 for none.
    pub const fn asid_bits(&self) -> u32 {
        self.asid_bits
    }

    /// Whether Svinval is used.
    pub const fn svinval(&self) -> bool {
        self.svinval
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
        let leaves = self.leaves(what.request);
        let Some(tag) = what.tag else {
            return match leaves {
                Some(pages) => Step::PagesOfAll(pages),
                None => Step::All,
            };
        };
        match (self.exact(tag), leaves) {
            (Some(asid), Some(pages)) => Step::Pages(pages, asid),
            (Some(asid), None) => Step::Asid(asid),
            (None, _) => Step::All,
        }
    }

    /// Whether `fence.i` follows what [`local`](Self::local) chose: `request` is for contexts, or is for everything and
    /// so may stand for one that was. Neither `sfence.vma` nor a return from a trap orders instruction fetches after
    /// stores (Priv, SFENCE.VMA; Unpriv, FENCE.I).
    #[inline]
    pub const fn syncs_contexts(&self, request: FlushRequest) -> bool {
        request.syncs_contexts() || self.code_changes && request.range().is_none()
    }

    /// The pages of a request, unless they are too many, or tables were freed: a fence with an address orders leaf
    /// entries alone (Priv, SFENCE.VMA).
    #[inline]
    const fn leaves(&self, request: FlushRequest) -> Option<Pages> {
        let (Some(range), Levels::Leaf) = (request.range(), request.levels()) else { return None };
        let pages = pages_of(range);
        let valid = self.mode.is_valid(pages.start()) && self.mode.is_valid(pages.last_page());
        if pages.remaining() <= self.ceiling && pages.in_one_half() && valid { Some(pages) } else { None }
    }

    /// Chooses how to load a root on a hart that has `current` loaded.
    ///
    /// An ASID other than the loaded one is flushed before the load: afterwards the walker could use its entries, and
    /// reach tables that were freed. The loaded ASID is flushed after the load: before, it would be refilled (Xen's
    /// XSA-292), and its tables are those of the space that is left, which stay until it is left.
    #[inline]
    pub const fn install(&self, root: Root, tag: Tag, how: OnInstall, current: Asid) -> Install {
        let asid = self.asid(tag);
        let satp = satp(self.mode, asid, root);
        let flush = matches!(how, OnInstall::Flush) || asid.number() == 0;
        let late = matches!(self.satp_write, SatpWrite::NeedsFence);
        Install {
            before: if flush && asid.number() != current.number() { Some(asid) } else { None },
            satp,
            after: if flush || late { Some(asid) } else { None },
            syncs_contexts: self.code_changes && matches!(how, OnInstall::Flush),
        }
    }

    /// Whether the firmware's remote fences are used.
    pub const fn sbi_fences(&self) -> bool {
        self.sbi_fences
    }

    /// Builds the remote fence for a request, or nothing where the firmware offers none. `tag` is the one under which
    /// all harts run the space; nothing where each numbers spaces for itself, and for kernel memory.
    pub const fn remote(&self, tag: Option<Tag>, request: FlushRequest) -> Option<SbiCall> {
        if !self.sbi_fences {
            return None;
        }
        if request.syncs_contexts() {
            return Some(remote_fence_i(Harts::All));
        }
        let span = match self.leaves(request) {
            Some(pages) => span_of(&pages),
            None => Span::All,
        };
        let asid = match tag {
            Some(tag) => self.exact(tag),
            None => None,
        };
        Some(remote_fence(Harts::All, span, asid))
    }
}

/// Returns the hardware pages of `range`. For a size that RISC-V lacks these are the smallest pages. Naturally aligned
/// runs (Svnapot) are made of them, too: each entry must be named.
#[inline]
pub(crate) const fn pages_of(range: PageRange) -> Pages {
    let size = match range.size() {
        PageSize::Size2M | PageSize::Size1G => range.size(),
        _ => PageSize::Size4K,
    };
    Pages::of(range, size)
}

/// All bytes of the pages.
pub(crate) const fn span_of(pages: &Pages) -> Span {
    Span::Bytes { start: pages.start().0, size: pages.remaining() << pages.shift() }
}

/// Instructions for a local request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A fence for each page and this ASID.
    Pages(Pages, Asid),
    /// A fence for each page and all ASIDs, global translations included.
    PagesOfAll(Pages),
    /// A fence for this ASID.
    Asid(Asid),
    /// A fence for everything.
    All,
    /// No fence of translations: contexts are all that is asked for.
    Nothing,
}

/// How a root is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Install {
    /// First a fence for this ASID, if any.
    pub before: Option<Asid>,
    /// Then this is written to satp.
    pub satp: u64,
    /// Then a fence for this ASID, if any.
    pub after: Option<Asid>,
    /// Whether `fence.i` comes last.
    pub syncs_contexts: bool,
}

#[cfg(test)]
pub(crate) mod tests;
