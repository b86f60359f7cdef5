//! Instructions that carry out a request about a guest: G-stage translations by VMID, and a guest's own by VMID and
//! ASID.

use crate::encode::{Asid, GuestMode, GuestRoot, Harts, SbiCall, Span, Vmid, hgatp, remote_guest_page_fence};
use crate::plan::{RANGE_CEILING, SatpWrite, pages_of, span_of};
use shootdown::flush::{FlushRequest, Levels, LocalFlush, PageRange, PageSize, Pages, VirtAddr};
use shootdown::tags::{OnInstall, Tag};

/// How harts cache what both stages make of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestTlbs {
    /// Perhaps each stage in a TLB of its own, which the manual allows: `hfence.gvma` then leaves what a guest's own
    /// tables made, so that a VMID that changes hands takes `hfence.vvma` as well.
    Split,
    /// Both stages in one entry that has the VMID, so that `hfence.gvma` is enough. True of most cores; ask the core's
    /// vendor.
    Combined,
}

/// How guests are run. A space of the engine is a guest, its addresses are guest physical ones, its tag a VMID.
///
/// No hart reaches another's TLB, so VMIDs are handed out by [`GlobalAsids`](shootdown::tags::GlobalAsids) with
/// [`FlushByIpi`](shootdown::tags::FlushByIpi): one VMID a guest on all harts, and each hart flushes once a rollover.
///
/// # Examples
/// ```
/// use shootdown::tags::{CpuTags, FlushByIpi, GlobalAsids, Tag, TagStorage, TagWord, TagsError, tag_words};
/// use shootdown_riscv64::encode::GuestMode;
/// use shootdown_riscv64::{Guests, SatpWrite};
///
/// const HARTS: usize = 4;
/// const VMIDS: u32 = 1 << 7; // of 7 bits, as `Stage2::probe_vmid_bits` found
/// static TAKEN: [TagWord; tag_words(VMIDS)] = [const { TagWord::new() }; tag_words(VMIDS)];
/// static CPUS: [CpuTags; HARTS] = [const { CpuTags::new() }; HARTS];
/// static CAUGHT: [TagWord; HARTS * VMIDS as usize] = [const { TagWord::new() }; HARTS * VMIDS as usize];
///
/// let storage = TagStorage { taken: &TAKEN, pinned: &[], cpus: &CPUS, caught: &CAUGHT };
/// let vmids = GlobalAsids::<FlushByIpi>::new(VMIDS, storage)?;
/// let guests = Guests::new(GuestMode::Sv39x4).with_vmids(7, SatpWrite::NeedsFence);
/// assert_eq!(guests.vmid(Tag::new(5)).number(), 5);
/// # assert_eq!(vmids.rollovers(), 0);
/// # Ok::<(), TagsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guests {
    mode: GuestMode,
    vmid_bits: u32,
    hgatp_write: SatpWrite,
    tlbs: GuestTlbs,
    svinval: bool,
    sbi_fences: bool,
    ceiling: u64,
}

impl Guests {
    /// Settings that work on every hart with the hypervisor extension: no VMIDs, no Svinval, no firmware, TLBs perhaps
    /// split.
    pub const fn new(mode: GuestMode) -> Self {
        Self {
            mode,
            vmid_bits: 0,
            hgatp_write: SatpWrite::NeedsFence,
            tlbs: GuestTlbs::Split,
            svinval: false,
            sbi_fences: false,
            ceiling: RANGE_CEILING,
        }
    }

    /// Uses VMIDs of `bits` bits: the fewest that [`crate::encode::vmid_bits`] found on any hart. A write to hgatp
    /// orders as little as one to satp (Priv, hgatp); `hgatp_write` says what it does to walks.
    pub const fn with_vmids(mut self, bits: u32, hgatp_write: SatpWrite) -> Self {
        self.vmid_bits = if bits > 14 { 14 } else { bits };
        self.hgatp_write = hgatp_write;
        self
    }

    /// Takes every hart's TLB for what `tlbs` says.
    pub const fn with_tlbs(mut self, tlbs: GuestTlbs) -> Self {
        self.tlbs = tlbs;
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

    /// Drops ranges of more than `pages` pages as a whole.
    pub const fn with_ceiling(mut self, pages: u64) -> Self {
        self.ceiling = pages;
        self
    }

    /// Bits of the VMIDs that are used; 0 for none.
    pub const fn vmid_bits(&self) -> u32 {
        self.vmid_bits
    }

    /// Whether Svinval is used.
    pub const fn svinval(&self) -> bool {
        self.svinval
    }

    /// Whether the firmware's remote fences are used.
    pub const fn sbi_fences(&self) -> bool {
        self.sbi_fences
    }

    /// Returns the VMID that stands for `tag`. [`Vmid::SHARED`], which is flushed at each load, stands for tags that
    /// are no VMID, and for all where there are none.
    pub const fn vmid(&self, tag: Tag) -> Vmid {
        match self.exact(tag) {
            Some(vmid) => vmid,
            None => Vmid::SHARED,
        }
    }

    const fn exact(&self, tag: Tag) -> Option<Vmid> {
        if self.vmid_bits == 0 {
            return Some(Vmid::SHARED);
        }
        match Vmid::new(tag.number(), self.vmid_bits) {
            Ok(vmid) => Some(vmid),
            Err(_) => None,
        }
    }

    /// The VMIDs whose own translations are flushed too when all guests are flushed: none where TLBs are combined.
    pub fn split_vmids(&self) -> impl Iterator<Item = Vmid> + use<> {
        let (bits, count) = (self.vmid_bits, self.split_count());
        (0..count).filter_map(move |number| Vmid::new(number, bits).ok())
    }

    const fn split_count(&self) -> u16 {
        match self.tlbs {
            GuestTlbs::Split => 1 << self.vmid_bits,
            GuestTlbs::Combined => 0,
        }
    }

    /// Chooses the fences of this hart for `what`: a change of G-stage tables.
    pub const fn local(&self, what: LocalFlush) -> GuestStep {
        // A hypervisor's own memory is not the G-stage's; a request about it drops everything there is.
        let Some(tag) = what.tag else { return GuestStep::All };
        match (self.exact(tag), self.leaves(what.request)) {
            (Some(vmid), Some(pages)) => GuestStep::Pages(pages, vmid),
            (Some(vmid), None) => GuestStep::Guest(vmid),
            (None, _) => GuestStep::All,
        }
    }

    /// The pages of a request, unless it is for contexts, they are too many, not all guest physical addresses, or
    /// tables were freed: of an address the manual promises no more than for `sfence.vma`, which reaches leaf entries
    /// alone.
    const fn leaves(&self, request: FlushRequest) -> Option<Pages> {
        let (Some(range), Levels::Leaf) = (request.range(), request.levels()) else { return None };
        if request.syncs_contexts() {
            return None;
        }
        let pages = pages_of(range);
        let few = pages.remaining() <= self.ceiling;
        if few && self.mode.is_valid(pages.last_page()) { Some(pages) } else { None }
    }

    /// Chooses how to load a guest.
    ///
    /// What goes, goes while its tables are not loaded, since the walker may use them until then, for HLV if for
    /// nothing else. Under [`Vmid::SHARED`] the table that maps nothing is loaded meanwhile, and harts may cache
    /// invalid entries, so a fence follows there.
    pub const fn install(&self, root: GuestRoot, tag: Tag, how: OnInstall) -> GuestInstall {
        let vmid = self.vmid(tag);
        let shared = vmid.number() == Vmid::SHARED.number();
        let flush = matches!(how, OnInstall::Flush) || shared;
        let late = matches!(self.hgatp_write, SatpWrite::NeedsFence);
        GuestInstall {
            before: if flush { Some(Handover { vmid, split: self.split_count() > 0 }) } else { None },
            hgatp: hgatp(self.mode, vmid, root),
            after: if late || shared { Some(vmid) } else { None },
        }
    }

    /// Computes what hgatp holds while nothing is to be walked under `vmid`: `empty` maps nothing.
    pub const fn parked(&self, vmid: Vmid, empty: GuestRoot) -> u64 {
        hgatp(self.mode, vmid, empty)
    }

    /// Builds the remote fence for a change of G-stage tables, or nothing where the firmware offers none. `tag` is the
    /// one under which all harts run the guest, if there is one such.
    pub const fn remote(&self, tag: Option<Tag>, request: FlushRequest) -> Option<SbiCall> {
        if !self.sbi_fences {
            return None;
        }
        let span = match self.leaves(request) {
            Some(pages) => span_of(&pages),
            None => Span::All,
        };
        let vmid = match tag {
            Some(tag) => self.exact(tag),
            None => None,
        };
        Some(remote_guest_page_fence(Harts::All, span, vmid))
    }

    /// Chooses the fences of this hart for a change of a guest's own tables, which it asked to be told to harts: leaf
    /// entries of the pages that hold `span`, under `asid`, or under all ASIDs with global entries.
    pub const fn guest_fence(&self, span: Span, asid: Option<Asid>) -> GuestFence {
        match span {
            Span::Bytes { start, size } => match pages_holding(start, size) {
                Some(pages) if pages.remaining() <= self.ceiling => GuestFence::Pages(pages, asid),
                _ => GuestFence::All(asid),
            },
            Span::All => GuestFence::All(asid),
        }
    }
}

/// Returns the smallest pages that hold `size` bytes from `start`; nothing where there are none of them, or they go
/// round the end of the address space.
const fn pages_holding(start: u64, size: u64) -> Option<Pages> {
    const SMALLEST: PageSize = PageSize::Size4K;
    let Some(most) = size.checked_sub(1) else { return None };
    let Some(last) = start.checked_add(most) else { return None };
    let count = (last >> SMALLEST.shift()) - (start >> SMALLEST.shift()) + 1;
    match PageRange::new(VirtAddr(start & !(SMALLEST.bytes() - 1)), count, SMALLEST) {
        Ok(range) => Some(Pages::holding(range, SMALLEST.shift())),
        Err(_) => None,
    }
}

/// Fences for a change of G-stage tables: `hfence.gvma`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestStep {
    /// A fence for each page and this VMID.
    Pages(Pages, Vmid),
    /// A fence for this VMID.
    Guest(Vmid),
    /// A fence for all guests; and, as VMIDs may change hands afterwards, one for the own translations of each of
    /// [`Guests::split_vmids`].
    All,
}

/// Fences for a change of a guest's own tables: `hfence.vvma`, under the guest's VMID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFence {
    /// A fence for each page, under an ASID or all.
    Pages(Pages, Option<Asid>),
    /// A fence for an ASID or all.
    All(Option<Asid>),
}

/// What to flush before another guest gets the VMID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// Under which VMID.
    pub vmid: Vmid,
    /// Whether the guest's own translations take a fence of their own.
    pub split: bool,
}

/// How a guest is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestInstall {
    /// First this goes, if anything, with the table that maps nothing loaded.
    pub before: Option<Handover>,
    /// Then this is written to hgatp.
    pub hgatp: u64,
    /// Then `hfence.gvma` for this VMID, if any.
    pub after: Option<Vmid>,
}

#[cfg(test)]
mod tests;
