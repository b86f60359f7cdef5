//! Which TLB tag a space runs under on a CPU.

use crate::sync::{Word, const_fn};
use crate::types::{SpaceId, Tag};
use core::sync::atomic::Ordering;

/// Most slots that a per-CPU allocator may use (Linux uses 6 on x86; more rarely pays).
#[cfg(not(any(shootdown_explore, shootdown_loom)))]
pub const SLOTS: usize = 8;
/// Few, so that the checker sees them run out.
#[cfg(any(shootdown_explore, shootdown_loom))]
pub const SLOTS: usize = 2;

/// A CPU's memory of what its tags stand for, for the use of a [`TagPolicy`].
#[derive(Debug)]
pub struct TagSlots {
    slots: [Slot; SLOTS],
    next: Word,
}

#[derive(Debug)]
struct Slot {
    /// Identity of the space, never reused; 0 for none.
    space: Word,
    /// Generation of that space with which the entries under this tag agree.
    generation: Word,
}

impl TagSlots {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self { slots: slots(), next: Word::new("next", 0) }
        }
    }

    /// Forgets everything: this CPU's TLB has been flushed whole.
    pub(crate) fn reset(&self) {
        for slot in &self.slots {
            slot.space.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(not(shootdown_loom))]
const fn slots() -> [Slot; SLOTS] {
    [const { Slot { space: Word::new("slot", 0), generation: Word::new("slot_gen", 0) } }; SLOTS]
}
#[cfg(shootdown_loom)]
fn slots() -> [Slot; SLOTS] {
    core::array::from_fn(|_| Slot { space: Word::new("slot", 0), generation: Word::new("slot_gen", 0) })
}

/// Answer of [`TagPolicy::assign`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Tag to load with the root.
    pub tag: Tag,
    /// Generation with which the entries under the tag agree; nothing where they may belong to another space and must
    /// go before use (SD-12).
    pub caught: Option<u64>,
}

/// How spaces get tags. Called with interrupts off on the CPU that `slots` belong to.
///
/// Source of the split: Linux's x86 `choose_new_asid` (per-CPU numbers keyed by a context identity that is never
/// reused, so that there is no rollover).
pub trait TagPolicy: Sync {
    /// Whether entries of a space may outlive its being left, so that a CPU that returns catches up with flushes made
    /// meanwhile.
    const WARM: bool;

    /// Picks the tag under which `space` runs from now on.
    fn assign(&self, slots: &TagSlots, space: SpaceId) -> Assignment;

    /// Notes that `space`, which ran under `tag` and is being left, is up to date with `generation` there.
    fn leave(&self, slots: &TagSlots, tag: Tag, space: SpaceId, generation: u64);
}

/// No tags: every root load flushes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untagged;

impl TagPolicy for Untagged {
    const WARM: bool = false;

    #[inline]
    fn assign(&self, _: &TagSlots, _: SpaceId) -> Assignment {
        Assignment { tag: Tag::NONE, caught: None }
    }
    #[inline]
    fn leave(&self, _: &TagSlots, _: Tag, _: SpaceId, _: u64) {}
}

/// Tags 1 to `N` of each CPU, reused in turn, keyed by the space's identity (x86 PCID; `N` at most [`SLOTS`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct PerCpuSlots<const N: usize>;

impl<const N: usize> PerCpuSlots<N> {
    /// Gives the next tag in turn to `space`.
    #[cold]
    fn replace(cpu: &TagSlots, space: SpaceId) -> Assignment {
        let victim = cpu.next.load(Ordering::Relaxed) as usize % N;
        cpu.next.store((victim as u64 + 1) % N as u64, Ordering::Relaxed);
        let slot = &cpu.slots[victim];
        slot.space.store(space.number(), Ordering::Relaxed);
        Assignment { tag: tag_of(victim), caught: None }
    }
}

impl<const N: usize> TagPolicy for PerCpuSlots<N> {
    const WARM: bool = true;

    #[inline]
    fn assign(&self, cpu: &TagSlots, space: SpaceId) -> Assignment {
        const { assert!(N >= 1 && N <= SLOTS, "per-CPU tag slots must number 1 to SLOTS") };
        for (index, slot) in cpu.slots[..N].iter().enumerate() {
            if slot.space.load(Ordering::Relaxed) == space.number() {
                let caught = Some(slot.generation.load(Ordering::Relaxed));
                return Assignment { tag: tag_of(index), caught };
            }
        }
        Self::replace(cpu, space)
    }

    #[inline]
    fn leave(&self, cpu: &TagSlots, tag: Tag, space: SpaceId, generation: u64) {
        let slot = &cpu.slots[tag.number() as usize - 1];
        debug_assert_eq!(
            slot.space.load(Ordering::Relaxed),
            space.number(),
            "a tag changed hands while loaded"
        );
        slot.generation.store(generation, Ordering::Relaxed);
    }
}

#[inline]
const fn tag_of(index: usize) -> Tag {
    Tag::new(index as u16 + 1)
}
