//! What the engine asks of an allocator of tags.

use crate::tags::TagSlots;
use crate::types::{CpuId, SpaceId, Tag};

/// An allocator of TLB tags (Linux: `choose_new_asid`, `check_and_switch_context`).
///
/// Sources of the shapes that are provided: Linux's x86 `choose_new_asid` (per-CPU numbers keyed by an identity that is
/// never reused), arm64's and riscv's `context.c` (one number a space, generations), sparc64's `get_new_mmu_context`
/// (versions, flushed on first use), x86's `allocate_global_asid` (INVLPGB), arm64 KVM's `vmid.c`.
///
/// Only the engine can make a [`TagCpu`] or a [`TagSpace`], so only it calls the methods that take one. A policy may
/// rely on being told of every space that a CPU loads and leaves, and of nothing else. Where a callback has unwound
/// between [`assign`](Self::assign) and the end of a switch, [`flushed`](Self::flushed) and
/// [`on_unload`](Self::on_unload) stand for what was not told.
///
/// # Safety
/// The engine loads roots under the tags that a policy returns ([`Platform::install`](crate::Platform::install), 3).
/// Implementers promise:
/// 1. what [`assign`](Self::assign) says of a CPU's entries is so ([`Residue`]): none under the tag belongs to another
///    space, or is older than the generation named, or than the latest flush, unless the answer says that there may be
///    some (SD-12);
/// 2. a tag under which a CPU has a space loaded is given to no other space that the CPU's TLB serves, unless that
///    one's load flushes it ([`Residue::Others`]) or the CPU has no root loaded meanwhile
///    ([`NEEDS_NULL_ROOT`](Self::NEEDS_NULL_ROOT));
/// 3. entries that [`assign`](Self::assign) lets a CPU take for current lie under the tag that
///    [`flush_method`](Self::flush_method) names, from the moment that they may exist: an initiator that reads it after
///    the full fence of a flush (SD-4) reaches those whose walk saw the page tables before they changed. Under
///    [`FlushMethod::Broadcast`] and [`FlushMethod::Nobody`] no CPU holds any under another;
/// 4. if a policy reassigns the tag of a space that is loaded, [`reassigned`](Self::reassigned) returns the new tag
///    from then on, the CPU holds no stale entries under the new tag, and [`CAN_REASSIGN`](Self::CAN_REASSIGN) is
///    `true`.
pub unsafe trait TagPolicy: Sync {
    /// The policy's data in a space.
    type Space: Send + Sync;

    /// `true` if TLB entries survive a context switch (tagged TLBs). A CPU that switches back then flushes what it
    /// missed.
    const ENTRIES_SURVIVE_SWITCH: bool;
    /// `true` if a CPU must load the null root before it asks for the tag of the next space, because the tag of the old
    /// space may be given away at once.
    const NEEDS_NULL_ROOT: bool = false;
    /// `true` if [`reassigned`](Self::reassigned) can return `Some`.
    const CAN_REASSIGN: bool = false;
    /// `true` if [`retire`](Self::retire) does anything.
    const FREES_TAGS: bool = false;

    /// Makes the policy's data of a new space.
    fn new_space(&self) -> Self::Space;

    /// Picks the tag under which `space` runs on `cpu` from now on. Called with interrupts off on that CPU, after the
    /// full fence of a switch (SD-5).
    fn assign(&self, cpu: TagCpu<'_>, space: TagSpace<'_, Self::Space>) -> Assignment;

    /// Notes that the entries of `space`, which runs on `cpu` under `tag` and is about to be left, agree with
    /// `generation`. Called with interrupts off on that CPU.
    fn on_switch_out(&self, cpu: TagCpu<'_>, space: TagSpace<'_, Self::Space>, tag: Tag, generation: u64);

    /// Notes that `cpu` has no root loaded. Called with interrupts off on that CPU.
    #[inline]
    fn on_unload(&self, cpu: TagCpu<'_>) {
        let _ = cpu;
    }

    /// Notes that `cpu` has flushed everything. Called with interrupts off on that CPU.
    fn flushed(&self, cpu: TagCpu<'_>);

    /// The new tag of `space`, if the policy has reassigned it: a CPU that has the space loaded under `tag` must run it
    /// under the new one from now on. What the CPU may hold under the new tag is current.
    #[inline]
    fn reassigned(&self, space: &Self::Space, tag: Tag) -> Option<Tag> {
        let _ = (space, tag);
        None
    }

    /// How a flush reaches the entries of `space` on other CPUs. Called after the full fence of a flush (SD-4).
    #[inline]
    fn flush_method(&self, space: &Self::Space) -> FlushMethod {
        let _ = space;
        FlushMethod::Ipis(None)
    }

    /// Takes back the tag of `space`, which is dead and which no CPU has loaded. Called once, with interrupts off.
    #[inline]
    fn retire(&self, space: TagSpace<'_, Self::Space>) {
        let _ = space;
    }
}

/// The calling CPU, with interrupts off. Only the engine can construct this, so a policy is never called for a switch
/// that did not happen.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TagCpu<'a> {
    /// Its number.
    pub id: CpuId,
    /// Its memory, kept in [`CpuLocal`](crate::CpuLocal).
    pub slots: &'a TagSlots,
}

/// A space, as a policy sees it. The engine alone makes it.
#[derive(Debug)]
#[non_exhaustive]
pub struct TagSpace<'a, S> {
    /// Its identity, never reused.
    pub id: SpaceId,
    /// The policy's data in it.
    pub memory: &'a S,
}

#[cfg(shootdown_loom)]
impl<'a> TagCpu<'a> {
    /// Makes one, for checks of allocators by themselves.
    pub fn new(id: CpuId, slots: &'a TagSlots) -> Self {
        Self { id, slots }
    }
}

#[cfg(shootdown_loom)]
impl<'a, S> TagSpace<'a, S> {
    /// Makes one, for checks of allocators by themselves.
    pub fn new(id: SpaceId, memory: &'a S) -> Self {
        Self { id, memory }
    }
}

impl<'a, S> TagSpace<'a, S> {
    /// The same space for a policy inside this one, with that policy's own data.
    #[inline]
    pub fn remembering<T>(self, memory: &'a T) -> TagSpace<'a, T> {
        TagSpace { id: self.id, memory }
    }
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
    /// The tag to load with the root.
    pub tag: Tag,
    /// What this CPU may hold under it.
    pub residue: Residue,
}

/// What a CPU's TLB may hold under the tag that a space is about to run under (SD-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residue {
    /// Entries of that space, which agree with this generation of it, if any.
    UpTo(u64),
    /// Nothing stale: no entries, or only entries that every flush has reached.
    Current,
    /// Entries that may belong to another space.
    Others,
    /// The same, under this tag and under any other: all of this CPU's tags may have changed hands.
    AllOthers,
}

/// How a flush reaches a space's entries on other CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMethod {
    /// By IPIs, unless the platform has other means; CPUs that have left the space catch up when they come back. Holds
    /// the tag that all CPUs use, if there is one.
    Ipis(Option<Tag>),
    /// By a broadcast under the tag, which all CPUs use. [`Platform::flush_remote`](crate::Platform::flush_remote) must
    /// return `Done`, since CPUs that have left the space take what they hold to be current.
    Broadcast(Tag),
    /// By such a broadcast and by IPIs as well: some CPUs still run under tags of their own.
    Both(Tag),
    /// No CPU has ever held an entry of the space.
    Nobody,
}

/// Drops what CPUs hold under all tags at once, by other means than interrupts.
///
/// # Safety
/// The allocator gives tags to other spaces after this broadcast (SD-12). Implementers promise:
/// 1. when [`flush_all_tags`](Self::flush_all_tags) returns, no CPU can use a user translation that one held when it
///    was called, under any tag. Whatever cannot do that must not return.
pub unsafe trait TagBroadcast: Sync {
    /// Drops all user translations of all CPUs, under every tag, and waits until that is complete. Called with
    /// interrupts off under the allocator's lock: must not wait for software on other CPUs (INVLPGB for all of them,
    /// TLBSYNC; `TLBI VMALLS12E1IS`, `DSB ISH`).
    fn flush_all_tags(&self);
}

/// No tags: every root load flushes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untagged;

// SAFETY: 1. every answer says that there may be entries of others; 2. and 3. there is no tag, and every load flushes; 4. none
// moves.
unsafe impl TagPolicy for Untagged {
    type Space = ();
    const ENTRIES_SURVIVE_SWITCH: bool = false;

    #[inline]
    fn new_space(&self) {}
    #[inline]
    fn assign(&self, _: TagCpu<'_>, _: TagSpace<'_, ()>) -> Assignment {
        Assignment { tag: Tag::NONE, residue: Residue::Others }
    }
    #[inline]
    fn on_switch_out(&self, _: TagCpu<'_>, _: TagSpace<'_, ()>, _: Tag, _: u64) {}
    #[inline]
    fn flushed(&self, _: TagCpu<'_>) {}
}
