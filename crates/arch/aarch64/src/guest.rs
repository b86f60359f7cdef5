//! Instructions that carry out a request about a guest: stage 2, by VMID.

use crate::encode::{Granule, Ttl, Vmid, Width, by_ipa};
use crate::plan::{Errata, RANGE_CEILING};
use shootdown::flush::{FlushRequest, LocalFlush, PageRange, Pages};
use shootdown::tags::Tag;

/// How stage 2 is set up. A space of the engine is a guest, its addresses are intermediate physical ones, its tag a
/// VMID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guests {
    /// Granule of stage 2.
    pub granule: Granule,
    /// VMIDs that are used (VTCR_EL2.VS).
    pub vmid: Width,
    /// Errata of these CPUs.
    pub errata: Errata,
}

/// The entries that a flush drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestFlush {
    /// Pages of a guest, and then all entries of stage 1: entries that combine both stages are found only by virtual
    /// address, which is unknown here (Arm D8.14).
    Pages(Vmid, GuestPages),
    /// A guest.
    Guest(Vmid),
    /// All guests.
    All,
}

impl Guests {
    /// Returns the VMID that stands for `tag`: [`Vmid::SHARED`], which is flushed at each load, for tags that are none.
    pub const fn vmid(&self, tag: Tag) -> Vmid {
        match Vmid::new(tag.number(), self.vmid) {
            Ok(vmid) => vmid,
            Err(_) => Vmid::SHARED,
        }
    }

    /// Chooses what one CPU flushes for `what`.
    pub const fn local(&self, what: LocalFlush) -> GuestFlush {
        // A hypervisor's own memory is not stage 2's: a request for it, which has no tag, drops everything there is.
        self.flush(what.tag, what.request)
    }

    /// Chooses what all CPUs flush; `tag` is the guest's VMID on all of them, if it has one.
    ///
    /// `TLBI IPAS2E1` drops entries of all levels, so whether tables were freed makes no difference. A request for
    /// contexts drops the guest; the ISB that follows synchronises this CPU alone.
    pub const fn flush(&self, tag: Option<Tag>, request: FlushRequest) -> GuestFlush {
        let Some(tag) = tag else { return GuestFlush::All };
        let Ok(vmid) = Vmid::new(tag.number(), self.vmid) else { return GuestFlush::All };
        match request.range() {
            Some(range) if !request.syncs_contexts() => match GuestPages::of(range, self.granule) {
                Some(pages) => GuestFlush::Pages(vmid, pages),
                None => GuestFlush::Guest(vmid),
            },
            _ => GuestFlush::Guest(vmid),
        }
    }
}

/// Operands of `TLBI IPAS2E1IS` for a run of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestPages(Pages);

impl GuestPages {
    /// Returns the operands, unless there are more than [`RANGE_CEILING`] or an address has more than the 52 bits that
    /// the operand holds.
    const fn of(range: PageRange, granule: Granule) -> Option<Self> {
        let pages = Pages::holding(range, granule.stride(range.size()).shift());
        if pages.remaining() > RANGE_CEILING || pages.last_page().0 >= 1 << 52 {
            None
        } else {
            Some(Self(pages))
        }
    }
}

impl Iterator for GuestPages {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0.next().map(|page| by_ipa(page.0, Ttl::ANY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shootdown::flush::{PageSize, VirtAddr};

    const GUESTS: Guests = Guests { granule: Granule::Size4K, vmid: Width::Bits8, errata: Errata::None };

    fn range(start: u64, count: u64, size: PageSize) -> PageRange {
        PageRange::new(VirtAddr(start), count, size).expect("a range")
    }

    fn pages(range: PageRange) -> Option<impl Iterator<Item = u64>> {
        match GUESTS.flush(Some(Tag::new(7)), FlushRequest::pages(range)) {
            GuestFlush::Pages(vmid, pages) => {
                assert_eq!(vmid.number(), 7);
                Some(pages)
            }
            whole => {
                assert_eq!(whole, GuestFlush::Guest(GUESTS.vmid(Tag::new(7))));
                None
            }
        }
    }

    #[test]
    fn each_page_of_a_run_is_named() {
        let small = pages(range(0x4000_5000, 3, PageSize::Size4K)).expect("a run");
        assert!(small.eq([0x4_0005, 0x4_0006, 0x4_0007]));
        let large = pages(range(0x4020_0000, 2, PageSize::Size2M)).expect("a run");
        assert!(large.eq([0x4_0200, 0x4_0400]));
    }

    #[test]
    fn what_does_not_fit_drops_the_guest() {
        assert!(pages(range(0, 512, PageSize::Size4K)).is_some());
        assert!(pages(range(0, 513, PageSize::Size4K)).is_none());
        assert!(pages(range((1 << 52) - 0x1000, 1, PageSize::Size4K)).is_some());
        assert!(pages(range((1 << 52) - 0x1000, 2, PageSize::Size4K)).is_none());
        assert!(pages(range(u64::MAX - 0xfff, 1, PageSize::Size4K)).is_none());
    }

    #[test]
    fn tags_that_are_no_vmid_drop_all_guests() {
        let tag = Tag::new(0x100);
        assert_eq!(GUESTS.vmid(tag), Vmid::SHARED);
        assert_eq!(GUESTS.flush(Some(tag), FlushRequest::all()), GuestFlush::All);
        assert_eq!(GUESTS.flush(None, FlushRequest::all()), GuestFlush::All);
        assert_eq!(
            GUESTS.local(LocalFlush { tag: Some(tag), request: FlushRequest::all() }),
            GuestFlush::All
        );
    }

    #[test]
    fn local_requests_are_the_same_ones() {
        let (tag, range) = (Tag::new(7), PageRange::page(VirtAddr(0x5000)));
        let vmid = GUESTS.vmid(tag);
        let pages = FlushRequest::pages(range);
        for request in [pages, pages.tables_freed()] {
            let flush = GUESTS.local(LocalFlush { tag: Some(tag), request });
            assert_eq!(flush, GUESTS.flush(Some(tag), pages));
            assert_eq!(GUESTS.local(LocalFlush { tag: None, request }), GuestFlush::All);
        }
        for request in [FlushRequest::all(), FlushRequest::contexts()] {
            assert_eq!(GUESTS.local(LocalFlush { tag: Some(tag), request }), GuestFlush::Guest(vmid));
        }
        assert_eq!(GUESTS.local(LocalFlush::EVERYTHING), GuestFlush::All);
    }
}
