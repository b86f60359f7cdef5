//! Fences of the guest, as the emulator's check remembers them. It does not ask a TLB what it dropped.

use crate::frames::lock;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Complete fences that are remembered.
const MOST: usize = 256;
/// The harts of a fence that reaches all.
pub const ALL_HARTS: u64 = u64::MAX;

/// What a fence drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// First address.
    pub first: u64,
    /// Last address.
    pub last: u64,
    /// The address space, or all.
    pub asid: Option<u16>,
    /// The harts, a bit each.
    pub harts: u64,
}

/// A translation that a hart's TLB holds.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// The hart.
    pub hart: u32,
    /// The address space in which it was made, or all.
    pub asid: Option<u16>,
    /// The first and the last address of its leaf.
    pub leaf: (u64, u64),
}

impl Fence {
    /// Whether a TLB must drop this translation. A fence for one address of a leaf drops the leaf.
    fn drops(&self, held: Held) -> bool {
        let asid = self.asid.is_none_or(|asid| held.asid == Some(asid));
        asid && self.harts >> held.hart & 1 == 1 && self.first <= held.leaf.1 && self.last >= held.leaf.0
    }
}

/// Complete fences with their numbers, the oldest first.
#[derive(Debug, Default)]
pub struct Log(VecDeque<(u64, Fence)>);

impl Log {
    /// Notes that fence `number` is complete.
    pub fn complete(&mut self, number: u64, fence: Fence) {
        self.0.push_back((number, fence));
        if self.0.len() > MOST {
            self.0.pop_front();
        }
    }

    /// A complete fence that should have dropped a translation made when `since` had begun.
    pub fn missed(&self, since: u64, held: Held) -> Option<u64> {
        self.0.iter().find(|(number, fence)| *number > since && fence.drops(held)).map(|(number, _)| *number)
    }
}

/// Remote fences of the guest, by number from 1.
#[derive(Default)]
pub struct Fences {
    begun: AtomicU64,
    complete: Mutex<Log>,
}

impl Fences {
    /// How many have begun. A translation that is made now is dropped by all later ones.
    pub fn begun(&self) -> u64 {
        // ORDER: relaxed; who has answered a fence has synchronised with the one who began it.
        self.begun.load(Ordering::Relaxed)
    }

    /// Counts a fence that begins, and returns its number.
    pub fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes that a fence is complete.
    pub fn complete(&self, number: u64, fence: Fence) {
        lock(&self.complete).complete(number, fence);
    }

    /// As [`Log::missed`].
    pub fn missed(&self, since: u64, held: Held) -> Option<u64> {
        lock(&self.complete).missed(since, held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Fence = Fence { first: 0, last: u64::MAX, asid: None, harts: ALL_HARTS };

    fn page(address: u64) -> Held {
        Held { hart: 0, asid: Some(1), leaf: (address & !0xfff, address | 0xfff) }
    }

    #[test]
    fn a_fence_answers_for_what_was_filled_before_it_began_and_lies_in_its_range() {
        let fences = Fences::default();
        let before = fences.begun();
        let first = fences.begin();
        let meanwhile = fences.begun();
        assert_eq!(fences.missed(before, page(0x1800)), None, "it is not complete");
        fences.complete(first, Fence { first: 0x1000, last: 0x1fff, ..ALL });
        assert_eq!(fences.missed(before, page(0x1800)), Some(1));
        assert_eq!(fences.missed(before, page(0x2000)), None, "out of its range");
        assert_eq!(fences.missed(meanwhile, page(0x1800)), None, "filled after it had begun");
        for _ in 0..2 * MOST {
            fences.complete(fences.begin(), Fence { first: 0, last: 0, ..ALL });
        }
        assert_eq!(fences.missed(before, page(0x1800)), None, "forgotten, so nobody is accused");
    }

    #[test]
    fn a_fence_answers_for_whole_leaves_on_the_harts_and_in_the_space_that_it_names() {
        let mut log = Log::default();
        let fence = Fence { first: 0x20_0000, last: 0x20_0fff, asid: Some(1), harts: 0b10 };
        log.complete(1, fence);
        let held = Held { hart: 1, asid: Some(1), leaf: (0x20_0000, 0x3f_ffff) };
        assert_eq!(log.missed(0, held), Some(1));
        assert_eq!(log.missed(0, Held { hart: 0, ..held }), None, "another hart");
        assert_eq!(log.missed(0, Held { asid: Some(2), ..held }), None, "another space");
        assert_eq!(log.missed(0, Held { asid: None, ..held }), None, "a global page");
        assert_eq!(log.missed(0, Held { leaf: (0x40_0000, 0x5f_ffff), ..held }), None, "another leaf");
        log.complete(2, ALL);
        assert_eq!(log.missed(1, Held { hart: 5, asid: None, leaf: (0, 0) }), Some(2));
    }
}
