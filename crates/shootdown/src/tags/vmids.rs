//! VMIDs for stage 2.

use crate::fault::{Rule, without};
use crate::tags::rolling::{Rolling, TagContext};
use crate::tags::storage::{TagStorage, TagsError};
use crate::tags::{Assignment, FlushMethod, Residue, TagBroadcast, TagCpu, TagPolicy, TagSpace};
use crate::types::Tag;

/// VMIDs (Linux: `kvm_arm_vmid_update`): each virtual machine (a space of the engine) has one tag on all CPUs, with
/// generations, like [`GlobalAsids`](crate::tags::GlobalAsids). What differs:
///
/// - at a rollover one broadcast drops every CPU's entries under every tag, so that no CPU has a flush pending and the
///   lock-free path stays open to all;
/// - a CPU runs under a VMID only while a virtual CPU is loaded: [`Shootdown::leave`](crate::Shootdown::leave), called
///   when the virtual CPU is put, gives up the CPU's claim, so that the VMIDs of machines that do not run are not
///   reserved;
/// - between two virtual CPUs no stage 2 is loaded, so that the old machine's tag may be given away at once. (The
///   order in which a tag is published and believed was the bug that Linux mended in "KVM: arm/arm64: Fix VMID alloc
///   race by reverting to lock-less": here tag and generation are one word, and a root is loaded only after it has a
///   tag, which was the bug of commit fa808ed4e199.)
///
/// Every flush is a broadcast under the VMID. Source: Linux `arch/arm64/kvm/vmid.c` (`kvm_arm_vmid_update`,
/// `kvm_arm_vmid_clear_active`, `flush_context`). On x86, where VPIDs and ASIDs belong to a CPU, use
/// [`PerCpuSlots`](crate::tags::PerCpuSlots).
#[derive(Debug)]
pub struct Vmids<'a, B: TagBroadcast, const G: u32 = 48> {
    rolling: Rolling<'a, G>,
    broadcast: B,
}

impl<'a, B: TagBroadcast, const G: u32> Vmids<'a, B, G> {
    /// Makes an allocator of VMIDs 1 to `tags - 1` (0 is the host's) for as many CPUs as `storage` has. The storage
    /// needs no bitmap of pinned tags and no words of [`TagStorage::caught`].
    ///
    /// # Errors
    /// As [`GlobalAsids::new`](crate::tags::GlobalAsids::new).
    pub fn new(tags: u32, storage: TagStorage<'a>, broadcast: B) -> Result<Self, TagsError> {
        Ok(Self { rolling: Rolling::new(tags, storage)?, broadcast })
    }

    /// Rollovers so far, for statistics.
    pub fn rollovers(&self) -> u64 {
        self.rolling.rollovers()
    }

    #[cold]
    fn drop_all(&self) {
        if !without(Rule::TagReuseFlushes) {
            self.broadcast.flush_all_tags();
        }
    }
}

// SAFETY: 1. within a generation a tag means one space, and between two of them a broadcast drops every CPU's entries; 2. tags
// that CPUs run under are reserved, and none is in use while a CPU changes spaces; 3. there is one tag, written before a full
// fence and the walks under it; 4. none moves.
unsafe impl<B: TagBroadcast, const G: u32> TagPolicy for Vmids<'_, B, G> {
    type Space = TagContext;
    const ENTRIES_SURVIVE_SWITCH: bool = true;
    const NEEDS_NULL_ROOT: bool = true;

    fn new_space(&self) -> TagContext {
        TagContext::new()
    }

    #[inline]
    fn assign(&self, cpu: TagCpu<'_>, space: TagSpace<'_, TagContext>) -> Assignment {
        let tag = self.rolling.try_fast(cpu.id, space.memory);
        let take = || self.rolling.take(cpu.id, space.memory, || {}, || self.drop_all()).tag;
        Assignment { tag: tag.unwrap_or_else(take), residue: Residue::Current }
    }

    #[inline]
    fn on_switch_out(&self, _: TagCpu<'_>, _: TagSpace<'_, TagContext>, _: Tag, _: u64) {}

    #[inline]
    fn on_unload(&self, cpu: TagCpu<'_>) {
        self.rolling.idle(cpu.id);
    }

    fn flushed(&self, _: TagCpu<'_>) {}

    #[inline]
    fn flush_method(&self, space: &TagContext) -> FlushMethod {
        space.tag().map_or(FlushMethod::Nobody, FlushMethod::Broadcast)
    }
}
