//! Per-CPU tags keyed by the space's identity.

use crate::sync::{Word, const_fn};
use crate::tags::{Assignment, Residue, TagCpu, TagPolicy, TagSpace};
use crate::types::{SpaceId, Tag};
use core::sync::atomic::Ordering;

/// Most slots that a per-CPU allocator may use (Linux uses 6 on x86; more rarely pays).
pub const SLOTS: usize = 8;
/// Slots that there are: under checkers few, so that they see them run out.
const HELD: usize = if cfg!(any(shootdown_explore, shootdown_loom)) { 2 } else { SLOTS };

/// A CPU's memory of what its tags stand for, for the use of a [`TagPolicy`]. Without the feature `per-cpu-tags` it takes no
/// memory, and there is no policy that uses it.
#[derive(Debug)]
pub struct TagSlots {
    slots: [Slot; HELD],
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
        /// Makes the memory of a CPU that has run nothing yet.
        pub fn new() -> Self {
            Self { slots: slots(), next: Word::new("next", 0) }
        }
    }

    /// The slot of one of the tags 1 to [`HELD`]. The remainder keeps them apart and spares a check of the bound.
    #[inline]
    fn slot(&self, tag: Tag) -> &Slot {
        &self.slots[tag.number() as usize % HELD]
    }

    /// Forgets everything: this CPU has flushed its whole TLB.
    pub(crate) fn reset(&self) {
        for slot in &self.slots {
            slot.space.store(0, Ordering::Relaxed);
        }
    }
}

impl Default for TagSlots {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(not(shootdown_loom))]
const fn slots() -> [Slot; HELD] {
    [const { Slot { space: Word::new("slot", 0), generation: Word::new("slot_gen", 0) } }; HELD]
}
#[cfg(shootdown_loom)]
fn slots() -> [Slot; HELD] {
    core::array::from_fn(|_| Slot { space: Word::new("slot", 0), generation: Word::new("slot_gen", 0) })
}

/// Tags 1 to `N` of each CPU, reused in turn (x86 PCIDs; Linux: `choose_new_asid`). `N` is at most [`SLOTS`].
///
/// A tag is keyed by the space's identity.
///
/// # Examples
/// ```
/// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
/// # use machine::*;
/// # use shootdown::{CpuId, Platform};
/// let (a, b) = (boot(0x1000), space(0x2000)); // on a machine with `PerCpuSlots<4>`
/// map(&a, 0x4000, 7);
/// ENGINE.switch_to(&a);
/// assert_eq!(load(0x4000), Some(7));
/// ENGINE.switch_to(&b);
/// unmap(&a, 0x4000);
/// ENGINE.switch_to(&a); // nothing was flushed, so what the TLB holds is taken for current
/// assert_eq!(load(0x4000), Some(7));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PerCpuSlots<const N: usize>;

impl<const N: usize> PerCpuSlots<N> {
    /// Slots in use: `N`, or as many as a checker has.
    const USED: usize = {
        assert!(N >= 1 && N <= SLOTS, "per-CPU tag slots must number 1 to SLOTS");
        if N < HELD { N } else { HELD }
    };

    /// Gives the next tag in turn to `space`.
    #[cold]
    fn replace(cpu: &TagSlots, space: SpaceId) -> Assignment {
        let victim = cpu.next.load(Ordering::Relaxed) % Self::USED as u64;
        cpu.next.store((victim + 1) % Self::USED as u64, Ordering::Relaxed);
        let tag = Tag::new(victim as u16 + 1);
        // ORDER: relaxed; only this CPU uses its slots.
        cpu.slot(tag).space.store(space.number(), Ordering::Relaxed);
        Assignment { tag, residue: Residue::Others }
    }
}

// SAFETY: 1. a slot names the identity of the last space that ran under its tag, which is never reused, and the generation
// saved when that was left; 2. a tag that changes hands, that of the loaded space too, is flushed by the load; 3. nothing is
// taken for current, and flushes go by IPIs; 4. none moves.
unsafe impl<const N: usize> TagPolicy for PerCpuSlots<N> {
    type Space = ();
    const ENTRIES_SURVIVE_SWITCH: bool = true;

    #[inline]
    fn new_space(&self) {}

    #[inline]
    fn assign(&self, cpu: TagCpu<'_>, space: TagSpace<'_, ()>) -> Assignment {
        for tag in (1..=Self::USED as u16).map(Tag::new) {
            let slot = cpu.slots.slot(tag);
            if slot.space.load(Ordering::Relaxed) == space.id.number() {
                let residue = Residue::UpTo(slot.generation.load(Ordering::Relaxed));
                return Assignment { tag, residue };
            }
        }
        Self::replace(cpu.slots, space.id)
    }

    #[inline]
    fn on_switch_out(&self, cpu: TagCpu<'_>, space: TagSpace<'_, ()>, tag: Tag, generation: u64) {
        let slot = cpu.slots.slot(tag);
        debug_assert!((1..=Self::USED).contains(&usize::from(tag.number())), "another policy's tag");
        // A whole flush forgets the slot of the loaded space too (`flushed`): nothing is found under 0, and the next load
        // flushes.
        debug_assert!(
            [0, space.id.number()].contains(&slot.space.load(Ordering::Relaxed)),
            "a tag changed hands while loaded"
        );
        slot.generation.store(generation, Ordering::Relaxed);
    }

    fn flushed(&self, cpu: TagCpu<'_>) {
        cpu.slots.reset();
    }
}
