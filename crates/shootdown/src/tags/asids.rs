//! One tag a space on all CPUs, with generations (aarch64, riscv64).

use crate::engine::Shootdown;
use crate::platform::{IrqReason, Platform};
use crate::space::AddressSpace;
use crate::tags::rolling::{Rolling, TagContext};
use crate::tags::storage::{TagStorage, TagWord, TagsError, tag_words};
use crate::tags::{Assignment, FlushMethod, Residue, TagCpu, TagPolicy, TagSpace};
use crate::this_cpu::ThisCpu;
use crate::types::{CpuId, Tag};
use core::marker::PhantomData;

/// ASIDs (Linux: `asid_generation`, `reserved_asids`): each space has one tag, the same on all CPUs, for as long as
/// tags last; then generations roll over, and each CPU flushes once, when it next takes a tag under the lock. Spaces
/// that run at a rollover keep theirs, so a CPU that goes on running is not disturbed.
///
/// A switch between spaces that have tags takes no lock and writes one word of this CPU's. Only a rollover frees tags:
/// a space that dies keeps its tag until then.
///
/// `F` says how flushes reach CPUs that have left a space. With [`FlushByIpi`] they do not: the CPU catches up when it
/// comes back, and for that the allocator remembers a generation per CPU and tag. With [`FlushByBroadcast`] the
/// hardware flushes under the tag (aarch64's `TLBI ...IS`), and the allocator remembers nothing. `G` is the number of
/// bits of a generation; see the drawing in the source.
///
/// Sources: Linux `arch/arm64/mm/context.c` (`check_and_switch_context`, `new_context`, `check_update_reserved_asid`,
/// `flush_context`, `arm64_mm_context_get`), `arch/riscv/mm/context.c`; Arm ARM (DDI 0487), Translation Lookaside
/// Buffers, on ASIDs; RISC-V Privileged, on the `satp` register and `SFENCE.VMA`.
///
/// # Examples
/// ```
/// use shootdown::tags::{CpuTags, FlushByBroadcast, GlobalAsids, TagStorage, TagWord, TagsError, tag_words};
///
/// static TAKEN: [TagWord; tag_words(256)] = [const { TagWord::new() }; tag_words(256)];
/// static CPUS: [CpuTags; 4] = [const { CpuTags::new() }; 4];
/// let storage = TagStorage { taken: &TAKEN, pinned: &[], cpus: &CPUS, caught: &[] };
///
/// let error = GlobalAsids::<FlushByBroadcast>::new(5, storage).unwrap_err();
/// assert_eq!(error, TagsError::TooFew(5, 4)); // each CPU may reserve one
/// let asids = GlobalAsids::<FlushByBroadcast>::new(256, storage)?;
/// assert_eq!(asids.rollovers(), 0);
/// # Ok::<(), TagsError>(())
/// ```
#[derive(Debug)]
pub struct GlobalAsids<'a, F: AsidFlush, const G: u32 = 48> {
    rolling: Rolling<'a, G>,
    flush: PhantomData<F>,
}

/// How flushes reach CPUs that have left a space: [`FlushByIpi`] or [`FlushByBroadcast`]. Nothing unsafe rests on the
/// choice: where a platform does not finish a broadcast, the engine stops.
pub trait AsidFlush: Sync {
    /// Whether every flush reaches every CPU's TLB in hardware.
    const BROADCAST: bool;
}

/// Flushes reach CPUs that have the space loaded, others catch up (riscv64, aarch64 without broadcasts).
#[derive(Clone, Copy, Debug)]
pub struct FlushByIpi;

impl AsidFlush for FlushByIpi {
    const BROADCAST: bool = false;
}

/// Every flush is a broadcast under the tag, which [`Platform::flush_remote`] always finishes.
#[derive(Clone, Copy, Debug)]
pub struct FlushByBroadcast;

impl AsidFlush for FlushByBroadcast {
    const BROADCAST: bool = true;
}

impl<'a, F: AsidFlush, const G: u32> GlobalAsids<'a, F, G> {
    /// Makes an allocator of tags 1 to `tags - 1` (tag 0 is the kernel's) for as many CPUs as `storage` has.
    ///
    /// # Errors
    /// If there are fewer tags than CPUs and two more (each CPU may reserve one at a rollover, 0 is not a tag, and one
    /// must be left to give out), or more than 65536, or if the storage is too small.
    pub fn new(tags: u32, storage: TagStorage<'a>) -> Result<Self, TagsError> {
        let needed = if F::BROADCAST { 0 } else { storage.cpus.len() * tags as usize };
        if storage.caught.len() < needed {
            return Err(TagsError::CaughtTooSmall(storage.caught.len(), needed));
        }
        Ok(Self { rolling: Rolling::new(tags, storage)?, flush: PhantomData })
    }

    /// Words of [`TagStorage::caught`] for so many CPUs and tags.
    pub const fn caught_words(cpus: usize, tags: u32) -> usize {
        if F::BROADCAST { 0 } else { cpus * tags as usize }
    }

    /// Words of each of the two bitmaps.
    pub const fn bitmap_words(tags: u32) -> usize {
        tag_words(tags)
    }

    /// Rollovers so far, for statistics.
    pub fn rollovers(&self) -> u64 {
        self.rolling.rollovers()
    }

    /// What `cpu` may hold under `tag`. Since its latest flush for a rollover it has run no other space under it.
    #[inline]
    fn residue(&self, cpu: CpuId, tag: Tag) -> Residue {
        if F::BROADCAST {
            return Residue::Current;
        }
        match self.caught(cpu, tag).load() {
            0 => Residue::Current,
            generation => Residue::UpTo(generation),
        }
    }

    #[inline]
    fn caught(&self, cpu: CpuId, tag: Tag) -> &TagWord {
        &self.row(cpu)[usize::from(tag.number())]
    }

    /// Per tag the generation of its space with which this CPU's entries agree; 0 for no entries.
    #[inline]
    fn row(&self, cpu: CpuId) -> &[TagWord] {
        let tags = self.rolling.tags();
        &self.rolling.storage().caught[cpu.index() * tags..][..tags]
    }
}

// SAFETY: 1. within a generation a tag means one space; what a CPU holds of an earlier one goes before it first runs under a
// new tag (`AllOthers`), or stays under a tag that is reserved for the space that the CPU ran; by IPIs, the generation saved
// at the last leave is named; 2. tags that CPUs run under are reserved at a rollover; 3. there is one tag, written before a
// full fence and the walks under it; 4. none moves.
unsafe impl<F: AsidFlush, const G: u32> TagPolicy for GlobalAsids<'_, F, G> {
    type Space = TagContext;
    const ENTRIES_SURVIVE_SWITCH: bool = true;
    /// A broadcast under a tag does not reach a CPU that walks the old root under a tag that was taken from it: between
    /// roots no tag is in use. With IPIs such a CPU is waited for.
    const NEEDS_NULL_ROOT: bool = F::BROADCAST;

    fn new_space(&self) -> TagContext {
        TagContext::new()
    }

    #[inline]
    fn assign(&self, cpu: TagCpu<'_>, space: TagSpace<'_, TagContext>) -> Assignment {
        if let Some(tag) = self.rolling.try_fast(cpu.id, space.memory) {
            return Assignment { tag, residue: self.residue(cpu.id, tag) };
        }
        let taken = self.rolling.take(cpu.id, space.memory, || {}, || {});
        let residue = if taken.rolled { Residue::AllOthers } else { self.residue(cpu.id, taken.tag) };
        Assignment { tag: taken.tag, residue }
    }

    #[inline]
    fn on_switch_out(&self, cpu: TagCpu<'_>, _: TagSpace<'_, TagContext>, tag: Tag, generation: u64) {
        if !F::BROADCAST {
            self.caught(cpu.id, tag).store(generation);
        }
    }

    fn flushed(&self, cpu: TagCpu<'_>) {
        if !F::BROADCAST {
            self.row(cpu.id).iter().for_each(|word| word.store(0));
        }
    }

    #[inline]
    fn flush_method(&self, space: &TagContext) -> FlushMethod {
        match (F::BROADCAST, space.tag()) {
            (false, tag) => FlushMethod::Ipis(tag),
            (true, Some(tag)) => FlushMethod::Broadcast(tag),
            (true, None) => FlushMethod::Nobody,
        }
    }
}

/// A policy that can keep a tag for devices. It keeps the promises of [`TagPolicy`] through these calls as well.
pub trait PinTags: TagPolicy {
    /// Keeps the tag of a space over rollovers. Called with interrupts off.
    ///
    /// # Errors
    /// See [`TagsError`].
    fn pin(&self, space: &Self::Space) -> Result<Tag, TagsError>;

    /// Undoes one [`pin`](Self::pin). Called with interrupts off.
    fn unpin(&self, space: &Self::Space);
}

impl<F: AsidFlush, const G: u32> PinTags for GlobalAsids<'_, F, G> {
    fn pin(&self, space: &TagContext) -> Result<Tag, TagsError> {
        self.rolling.pin(space, || {})
    }

    fn unpin(&self, space: &TagContext) {
        self.rolling.unpin(space);
    }
}

impl<P: Platform> Shootdown<P>
where
    P::Tags: PinTags,
{
    /// Gives `space` a tag that it keeps, for a device that walks its tables under the same tag (an IOMMU with shared
    /// virtual addressing; Linux `arm64_mm_context_get`), until [`unpin_tag`](Self::unpin_tag) was called as often. The
    /// tag of a space that dies pinned is never freed. Never waits.
    ///
    /// # Errors
    /// [`TagsError::NoneToPin`] where CPUs might run short of tags.
    ///
    /// # Panics
    /// If another engine made the space.
    pub fn pin_tag(&self, space: &AddressSpace<P>) -> Result<Tag, TagsError> {
        self.must_own(space);
        let _this_cpu = ThisCpu::enter(self, IrqReason::Tags);
        self.platform().tags().pin(space.tags())
    }

    /// Undoes one [`pin_tag`](Self::pin_tag) (Linux: `arm64_mm_context_put`). Never waits.
    ///
    /// # Panics
    /// If the space is not pinned, or another engine made it.
    pub fn unpin_tag(&self, space: &AddressSpace<P>) {
        self.must_own(space);
        let _this_cpu = ThisCpu::enter(self, IrqReason::Tags);
        self.platform().tags().unpin(space.tags());
    }
}
