//! Context numbers with versions, flushed on first use (sparc64).

use crate::sync::Word;
use crate::tags::rolling::{Rolling, TagContext};
use crate::tags::storage::{TagStorage, TagsError};
use crate::tags::{Assignment, FlushMethod, Residue, TagCpu, TagPolicy, TagSpace};
use crate::types::Tag;
use core::sync::atomic::Ordering;

/// Context numbers: each space has one on all CPUs, of some version (a generation of `G` bits). Nothing is flushed when
/// numbers run out and the version goes up: a CPU flushes a number when it first runs a space under it. The space
/// remembers which CPUs have done so, for up to `CPUS` of them. It forgets that when it gets another number, since what
/// a CPU holds under the new number may belong to another space (Linux "sparc64: reset mm cpumask after wrap", merged
/// by b3aefc2fbdff).
///
/// A number that a CPU runs under is not given away when the version goes up, and a CPU runs under none while it
/// changes spaces, so numbers are safe on CPUs that share one TLB, too (Linux commit a0663a79ad4f).
///
/// Sources: Linux `arch/sparc/mm/init_64.c` (`get_new_mmu_context`, `mmu_context_wrap`) and
/// `arch/sparc/include/asm/mmu_context_64.h` (`switch_mm`). Linux sends every flush to CPUs that have left a space;
/// here they remember a generation and catch up.
///
/// # Examples
/// ```
/// use shootdown::tags::{CpuTags, TagStorage, TagWord, TagsError, VersionedContexts};
///
/// static TAKEN: [TagWord; 1] = [const { TagWord::new() }; 1];
/// static CPUS: [CpuTags; 4] = [const { CpuTags::new() }; 4];
/// let storage = TagStorage { taken: &TAKEN, pinned: &[], cpus: &CPUS, caught: &[] };
/// let error = VersionedContexts::<2>::new(64, storage).unwrap_err();
/// assert_eq!(error, TagsError::TooManyCpus(4, 2));
/// assert!(VersionedContexts::<4>::new(64, storage).is_ok());
/// ```
#[derive(Debug)]
pub struct VersionedContexts<'a, const CPUS: usize, const G: u32 = 48> {
    rolling: Rolling<'a, G>,
}

/// A space's data: its number, and per CPU what that CPU holds under it.
#[derive(Debug)]
pub struct VersionedContext<const CPUS: usize> {
    context: TagContext,
    /// Generation of the space with which the CPU's entries agree; 0 where it has not run the space under this number.
    caught: [Word; CPUS],
}

impl<const CPUS: usize> VersionedContext<CPUS> {
    /// The latest number.
    pub fn tag(&self) -> Option<Tag> {
        self.context.tag()
    }
}

impl<'a, const CPUS: usize, const G: u32> VersionedContexts<'a, CPUS, G> {
    /// Makes an allocator of numbers 1 to `tags - 1` (0 is the kernel's) for as many CPUs as `storage` has. The storage
    /// needs no bitmap of pinned tags and no words of [`TagStorage::caught`].
    ///
    /// # Errors
    /// As [`GlobalAsids::new`](crate::tags::GlobalAsids::new); more than `CPUS` CPUs.
    pub fn new(tags: u32, storage: TagStorage<'a>) -> Result<Self, TagsError> {
        let (cpus, room) = (storage.cpus.len() as u32, CPUS as u32);
        if cpus > room {
            return Err(TagsError::TooManyCpus(cpus, room));
        }
        Ok(Self { rolling: Rolling::new(tags, storage)? })
    }

    /// How often the version went up, for statistics.
    pub fn rollovers(&self) -> u64 {
        self.rolling.rollovers()
    }
}

// SAFETY: 1. a CPU that has not run the space under this number is told of entries of others, any other of the generation
// saved when it left; both are forgotten with the number; 2. numbers that CPUs run under are reserved, and none is in use
// while a CPU changes spaces; 3. nothing is taken for current, and flushes go by IPIs; 4. none moves.
unsafe impl<const CPUS: usize, const G: u32> TagPolicy for VersionedContexts<'_, CPUS, G> {
    type Space = VersionedContext<CPUS>;
    const ENTRIES_SURVIVE_SWITCH: bool = true;
    const NEEDS_NULL_ROOT: bool = true;

    fn new_space(&self) -> VersionedContext<CPUS> {
        VersionedContext {
            context: TagContext::new(),
            caught: core::array::from_fn(|_| Word::new("context_caught", 0)),
        }
    }

    /// Always takes the lock: the words of the CPUs belong to the number only under it. Linux takes a lock of the space
    /// here, and the machine's lock only for a new number; CAVEATS.md says what the difference costs.
    fn assign(&self, cpu: TagCpu<'_>, space: TagSpace<'_, VersionedContext<CPUS>>) -> Assignment {
        let VersionedContext { context, caught } = space.memory;
        // ORDER: relaxed, all words of this kind: written by their CPU alone while it runs the space, whose number then
        // stays, and else under the lock.
        let forget = || caught.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        let tag = self.rolling.take(cpu.id, context, forget, || {}).tag;
        let residue = match caught[cpu.id.index()].load(Ordering::Relaxed) {
            0 => Residue::Others,
            generation => Residue::UpTo(generation),
        };
        Assignment { tag, residue }
    }

    #[inline]
    fn on_switch_out(
        &self,
        cpu: TagCpu<'_>,
        space: TagSpace<'_, VersionedContext<CPUS>>,
        _: Tag,
        generation: u64,
    ) {
        // ORDER: relaxed; only this CPU writes its word while the number stays.
        space.memory.caught[cpu.id.index()].store(generation, Ordering::Relaxed);
    }

    #[inline]
    fn on_unload(&self, cpu: TagCpu<'_>) {
        self.rolling.idle(cpu.id);
    }

    fn flushed(&self, _: TagCpu<'_>) {}

    #[inline]
    fn flush_method(&self, space: &VersionedContext<CPUS>) -> FlushMethod {
        FlushMethod::Ipis(space.tag())
    }
}
