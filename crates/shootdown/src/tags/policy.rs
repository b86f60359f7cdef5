//! What the engine asks of whoever hands out tags.

use crate::tags::TagSlots;
use crate::types::{CpuId, SpaceId, Tag};

/// How spaces get tags.
///
/// Sources of the shapes that are provided: Linux's x86 `choose_new_asid` (per-CPU numbers keyed by an identity that is
/// never reused), arm64's and riscv's `context.c` (one number a space, generations), sparc64's `get_new_mmu_context`
/// (versions, flushed on first use), x86's `allocate_global_asid` (INVLPGB), arm64 KVM's `vmid.c`.
pub trait TagPolicy: Sync {
    /// What a space remembers for the policy.
    type Space: Send + Sync;

    /// Whether entries of a space may outlive its being left, so that a CPU that returns catches up with flushes made
    /// meanwhile.
    const WARM: bool;
    /// Whether a CPU loads no root at all before it asks for the tag of the next space: for policies by which the tag of
    /// the old one may be given away at once.
    const UNLOADS: bool = false;
    /// Whether [`moved`](Self::moved) may ever answer.
    const MOVES: bool = false;
    /// Whether [`retire`](Self::retire) does anything.
    const RETIRES: bool = false;

    /// Makes what a new space remembers.
    fn new_space(&self) -> Self::Space;

    /// Picks the tag under which `space` runs on `cpu` from now on. Called with interrupts off on that CPU, after the full
    /// fence of a switch (SD-5).
    fn assign(&self, cpu: TagCpu<'_>, space: TagSpace<'_, Self::Space>) -> Assignment;

    /// Notes that the entries of `space`, which runs on `cpu` under `tag` and is about to be left, agree with
    /// `generation`. Called with interrupts off on that CPU.
    fn leave(&self, cpu: TagCpu<'_>, space: TagSpace<'_, Self::Space>, tag: Tag, generation: u64);

    /// Notes that `cpu` has no root loaded. Called with interrupts off on that CPU.
    #[inline]
    fn left(&self, cpu: CpuId) {
        let _ = cpu;
    }

    /// Notes that `cpu` has flushed everything. Called with interrupts off on that CPU.
    fn flushed(&self, cpu: TagCpu<'_>);

    /// Another tag under which a CPU that has `space` loaded under `tag` is to run it from now on. What it may hold
    /// under that tag is current.
    #[inline]
    fn moved(&self, space: &Self::Space, tag: Tag) -> Option<Tag> {
        let _ = (space, tag);
        None
    }

    /// How a flush reaches the entries of `space` on other CPUs. Called after the full fence of a flush (SD-4).
    #[inline]
    fn reach(&self, space: &Self::Space) -> Reach {
        let _ = space;
        Reach::Doorbells(None)
    }

    /// Takes back what `space` has: it is dead and no CPU has it loaded. Called once, with interrupts off.
    #[inline]
    fn retire(&self, space: &Self::Space) {
        let _ = space;
    }
}

/// A CPU, as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct TagCpu<'a> {
    /// Its number.
    pub id: CpuId,
    /// Its memory, kept in [`CpuLocal`](crate::CpuLocal).
    pub slots: &'a TagSlots,
}

/// A space, as a policy sees it.
#[derive(Debug)]
pub struct TagSpace<'a, S> {
    /// Its identity, never reused.
    pub id: SpaceId,
    /// What it remembers for the policy.
    pub memory: &'a S,
}

impl<S> Clone for TagSpace<'_, S> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for TagSpace<'_, S> {}

/// Answer of [`TagPolicy::assign`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Tag to load with the root.
    pub tag: Tag,
    /// What this CPU may hold under it.
    pub held: Held,
}

/// What a CPU may hold under a tag that a space is to run under (SD-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Entries of that space, which agree with this generation of it, if any.
    UpTo(u64),
    /// Nothing that is out of date: no entries, or such as every flush has reached.
    Current,
    /// Entries that may belong to another space.
    Others,
    /// The same, under this tag and under any other: all of this CPU's tags may have changed hands.
    AllOthers,
}

/// How a flush reaches a space's entries on other CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By doorbells, unless the platform has other means; CPUs that have left the space catch up when they come back.
    /// Named is the tag that all CPUs use, where they do.
    Doorbells(Option<Tag>),
    /// By a broadcast under the tag, which all CPUs use: [`Platform::flush_remote`](crate::Platform::flush_remote) must
    /// answer "done", since CPUs that have left the space take what they hold to be current.
    Broadcast(Tag),
    /// By such a broadcast, and by doorbells besides: some CPUs still run under tags of their own.
    Both(Tag),
    /// No CPU has held any.
    Nobody,
}

/// Drops what CPUs hold under all tags at once, by other means than interrupts.
pub trait TagBroadcast: Sync {
    /// Drops all user translations of all CPUs, under every tag, and waits until that is complete. Called with interrupts
    /// off under the allocator's lock: must not wait for software on other CPUs (INVLPGB for all of them, TLBSYNC; `TLBI
    /// VMALLS12E1IS`, `DSB ISH`).
    fn flush_all_tags(&self);
}

/// No tags: every root load flushes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untagged;

impl TagPolicy for Untagged {
    type Space = ();
    const WARM: bool = false;

    #[inline]
    fn new_space(&self) {}
    #[inline]
    fn assign(&self, _: TagCpu<'_>, _: TagSpace<'_, ()>) -> Assignment {
        Assignment { tag: Tag::NONE, held: Held::Others }
    }
    #[inline]
    fn leave(&self, _: TagCpu<'_>, _: TagSpace<'_, ()>, _: Tag, _: u64) {}
    #[inline]
    fn flushed(&self, _: TagCpu<'_>) {}
}
