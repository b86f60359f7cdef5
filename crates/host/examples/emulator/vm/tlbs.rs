//! The two TLBs of a virtual CPU.

use super::host::shootdown::flush::{LocalFlush, VirtAddr};
use super::host::shootdown::tags::{OnInstall, Tag};
use super::host::{SoftTlb, Tlb};
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
}

/// A guest-virtual translation, and how many remote fences had begun when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    /// The translation.
    pub mapping: Mapping,
    /// The fences.
    pub since: u64,
}

impl Tlbs {
    /// Makes empty TLBs.
    pub fn new() -> Self {
        Self { guest: SoftTlb::new(64), host: SoftTlb::new(256), unfenced: Vec::new() }
    }

    /// Carries out the guest's own fence on this CPU.
    pub fn fence(&mut self, address: Option<u64>, asid: Option<u16>) {
        use super::host::shootdown::flush::PageRange;
        let tag = asid.map(Tag::new);
        match (address, tag) {
            (Some(address), tag) => self.guest.flush_range(tag, PageRange::page(VirtAddr(address))),
            (None, Some(tag)) => self.guest.flush_tag(tag),
            (None, None) => self.guest.flush_all(),
        }
        self.forgive(|page| address.is_none_or(|address| address >> 12 == page));
    }

    /// Notes a use of a translation for which a fence is missing so far.
    pub fn blame(&mut self, use_: Unfenced) {
        let same = |noted: &Unfenced| noted.virtual_address >> 12 == use_.virtual_address >> 12;
        if self.unfenced.len() < NOTES && !self.unfenced.iter().any(same) {
            self.unfenced.push(use_);
        }
    }

    fn forgive(&mut self, fenced: impl Fn(u64) -> bool) {
        self.unfenced.retain(|use_| !fenced(use_.virtual_address >> 12));
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
                let first = range.start().0 >> 12;
                let count = range.count() * (range.size().bytes() >> 12);
                self.forgive(|page| (first..first + count).contains(&page));
            }
            LocalFlush::Everything => {
                self.guest.flush_all();
                self.host.flush_all();
                self.forgive(|_| true);
            }
        }
    }

    fn load(&mut self, tag: Tag, how: OnInstall) {
        self.host.load(tag, how);
    }
}
