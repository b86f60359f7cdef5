//! The two TLBs of a virtual CPU.

use super::host::shootdown::flush::{LocalFlush, PageRange, PageSize, VirtAddr};
use super::host::shootdown::tags::{OnInstall, Tag};
use super::host::{Fence, Leaf, SoftTlb, Tlb};
use crate::fences::{self, ALL_HARTS, Log};
use crate::findings::Unfenced;
use crate::stage2::Entry;
use crate::sv39::Mapping;

/// Most different pages of which a CPU's forgotten fences are noted.
const NOTES: usize = 8;

/// Guest-virtual to guest-physical under the guest's ASIDs, and guest-physical to frames under the engine's tags.
pub struct Tlbs {
    /// Guest-virtual. The guest keeps it right by fences.
    pub guest: SoftTlb<Filled>,
    /// Guest-physical. The host keeps it right.
    pub host: SoftTlb<Entry>,
    /// Uses of entries of `guest` that the page tables no longer have; a fence takes them away.
    pub unfenced: Vec<Unfenced>,
    /// Fences that this CPU has made itself.
    pub own: Log,
    /// How many these are.
    pub own_begun: u64,
}

/// A guest-virtual translation, and how many fences had begun when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    /// The translation.
    pub mapping: Mapping,
    /// The remote fences.
    pub since: u64,
    /// The CPU's own fences.
    pub since_own: u64,
}

impl Tlbs {
    /// Makes empty TLBs.
    pub fn new() -> Self {
        Self {
            guest: SoftTlb::new(64),
            host: SoftTlb::new(256),
            unfenced: Vec::new(),
            own: Log::default(),
            own_begun: 0,
        }
    }

    /// Keeps a guest-virtual translation under an ASID.
    pub fn fill(&mut self, asid: Tag, address: u64, mapping: Mapping, since: u64) {
        let filled = Filled { mapping, since, since_own: self.own_begun };
        // A smaller size than the leaf's would leave parts of it behind when a fence names another part.
        let size = match mapping.shift {
            12 => PageSize::Size4K,
            21 => PageSize::Size2M,
            _ => PageSize::Size1G,
        };
        self.guest.insert_tagged(asid, VirtAddr(address), Leaf::new(size, filled));
    }

    /// Carries out the guest's own fence on this CPU.
    pub fn fence_here(&mut self, address: Option<u64>, asid: Option<u16>) {
        let range = address.map(|address| PageRange::page(VirtAddr(address)));
        self.fence(Fence { range, asid });
        let (first, last) = address.map_or((0, u64::MAX), |address| (address, address));
        self.own_begun += 1;
        self.own.complete(self.own_begun, fences::Fence { first, last, asid, harts: ALL_HARTS });
    }

    /// Notes a use of a translation for which a fence is missing so far.
    pub fn blame(&mut self, use_: Unfenced) {
        let same = |noted: &Unfenced| noted.virtual_address >> 12 == use_.virtual_address >> 12;
        if self.unfenced.len() < NOTES && !self.unfenced.iter().any(same) {
            self.unfenced.push(use_);
        }
    }

    /// Forgets uses of leaves that have an address from `first` to `last`.
    fn forgive(&mut self, first: u64, last: u64) {
        self.unfenced.retain(|use_| use_.leaf.1 < first || last < use_.leaf.0);
    }
}

/// The first and the last address of a range.
pub fn span(range: PageRange) -> (u64, u64) {
    let first = range.start().0;
    (first, first + (range.count() * range.size().bytes() - 1))
}

// SAFETY: 1. and 2. as `SoftTlb`, which the host's part is. It alone is under the engine's tags: entries of the guest's part lead
// to guest-physical pages, which the host's part translates once more; 3. nothing else runs here.
unsafe impl Tlb for Tlbs {
    fn flush(&mut self, what: LocalFlush) {
        self.host.flush(what);
    }

    fn load(&mut self, tag: Tag, how: OnInstall) {
        self.host.load(tag, how);
    }

    fn fence(&mut self, fence: Fence) {
        let tag = fence.asid.map(Tag::new);
        match (fence.range, tag) {
            (Some(range), tag) => self.guest.flush_range(tag, range),
            (None, Some(tag)) => self.guest.flush_tag(tag),
            (None, None) => self.guest.flush_all(),
        }
        let (first, last) = fence.range.map_or((0, u64::MAX), span);
        self.forgive(first, last);
    }
}
