//! The two TLBs of a virtual CPU.

use super::host::shootdown::flush::{LocalFlush, PageRange, PageSize, VirtAddr};
use super::host::shootdown::tags::{OnInstall, Tag};
use super::host::{Leaf, SoftTlb, Tlb};
use crate::fences::{ALL_HARTS, Fence, Log};
use crate::findings::Unfenced;
use crate::stage2::Entry;
use crate::sv39::Mapping;

/// Most different pages of which a CPU's forgotten fences are noted.
const NOTES: usize = 8;

/// Guest-virtual to guest-physical under the guest's ASIDs, and guest-physical to frames under the engine's tags.
pub struct Tlbs {
    /// Guest-virtual. The guest keeps it right by fences; of the engine's requests those for kernel memory mean it.
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
    pub fn fence(&mut self, address: Option<u64>, asid: Option<u16>) {
        let tag = asid.map(Tag::new);
        match (address, tag) {
            (Some(address), tag) => self.guest.flush_range(tag, PageRange::page(VirtAddr(address))),
            (None, Some(tag)) => self.guest.flush_tag(tag),
            (None, None) => self.guest.flush_all(),
        }
        let (first, last) = address.map_or((0, u64::MAX), |address| (address, address));
        self.forgive(first, last);
        self.own_begun += 1;
        self.own.complete(self.own_begun, Fence { first, last, asid, harts: ALL_HARTS });
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

// SAFETY: 1. both TLBs do what they are asked as `SoftTlb` does, and hold all there is; 2. so does the host's part, which alone
// is under the engine's tags.
unsafe impl Tlb for Tlbs {
    fn flush(&mut self, what: LocalFlush) {
        match what {
            LocalFlush::Pages { .. } | LocalFlush::Tag(_) => self.host.flush(what),
            LocalFlush::KernelPages { range, .. } => {
                self.guest.flush_range(None, range);
                let first = range.start().0;
                self.forgive(first, first + (range.count() * range.size().bytes() - 1));
            }
            LocalFlush::Everything => {
                self.guest.flush_all();
                self.host.flush_all();
                self.forgive(0, u64::MAX);
            }
        }
    }

    fn load(&mut self, tag: Tag, how: OnInstall) {
        self.host.load(tag, how);
    }
}
