//! Global tags with generations: what [`GlobalAsids`](crate::tags::GlobalAsids),
//! [`VersionedContexts`](crate::tags::VersionedContexts) and [`Vmids`](crate::tags::Vmids) have in common.
//!
//! ```text
//!            1 take: a tag that is free                2 try_fast: in this generation
//!   no tag ------------------------------> current <--------------------------------.
//!                                             |  `-----------------------------------'
//!                            3 rollover       |
//!                 .---------------------------+---------------------------.
//!                 v                                                       v
//!   reserved (a CPU ran it at the rollover)                     void (nobody ran it)
//!                 |  4 take: keeps its tag                                |  5 take: as 1
//!                 '-----------------------> current <---------------------'
//! ```
//! When no tag is free (1, 5) generations roll over: every tag is free again but those that CPUs run under, which they
//! go on using (reserved), and pinned ones. What a CPU holds under the others is flushed before it uses a tag of the
//! new generation; the three allocators differ in who does that.
//!
//! # The lock-free path and a rollover
//!
//! ```text
//!   this CPU, `try_fast`                      another CPU, `roll_over`
//!   reads the generation and its tag          generation += 1
//!   active: old, not 0 -> tag (one step)      active: -> 0 (one step), reserved := what was there
//! ```
//! Both steps change one word, so one comes first: either the rollover finds the tag and reserves it, or this CPU finds
//! 0, fails, and takes the lock. No order between different words is needed for that. Explored by `asid-rollover`.
//!
//! # Generations wrap
//!
//! A generation has `G` bits beside the tag in one word, so that both are seen together. The allocator counts rollovers
//! in 64 bits; a generation is their low bits. When they wrap, tags of all earlier generations are void at once, since
//! the high bits, which a space keeps in a second word, no longer match: a space that slept through `2^G` rollovers
//! does not find its old generation current. Explored by `asid-generation-wrap`.

use crate::fault::Site;
use crate::sync::{Word, const_fn};
use crate::tags::lock::TagLock;
use crate::tags::storage::{CpuTags, IDLE, TagStorage, TagWord, TagsError, first_free, insert, remove};
use crate::types::{CpuId, Tag};
use core::sync::atomic::Ordering;

/// The tag of a space, for allocators with generations.
#[derive(Debug)]
pub struct TagContext {
    /// Tag in the low 16 bits, generation above; 0 before the first.
    word: Word,
    /// How often generations had wrapped when it was given.
    wraps: Word,
    /// Pins.
    pins: TagWord,
}

const TAG_BITS: u32 = 16;

impl TagContext {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                word: Word::new("context", 0),
                wraps: Word::new("context_wraps", 0),
                pins: TagWord::named("context_pins", 0),
            }
        }
    }

    /// The latest tag, for flushes. If it is void by now, no CPU runs the space under it, and the flush does no harm.
    #[inline]
    pub fn tag(&self) -> Option<Tag> {
        // ORDER: relaxed; after a full fence (SD-4) an initiator sees the tag under which older translations were loaded
        // (`renewal_vs_broadcast`).
        Some(tag_of(self.word.load(Ordering::Relaxed))).filter(|&tag| tag != Tag::NONE)
    }
}

/// The tables of an allocator with generations of `G` bits.
#[derive(Debug)]
pub(crate) struct Rolling<'a, const G: u32> {
    lock: TagLock,
    /// Rollovers so far.
    epoch: Word,
    /// Where the search for a free tag goes on.
    cursor: TagWord,
    /// Spaces that are pinned.
    pins: TagWord,
    tags: u32,
    storage: TagStorage<'a>,
}

/// A tag that was taken under the lock.
pub(crate) struct Taken {
    pub(crate) tag: Tag,
    /// Whether there was a rollover since this CPU last took a tag.
    pub(crate) rolled: bool,
}

impl<'a, const G: u32> Rolling<'a, G> {
    /// `tags` counts tag 0, which is never given out.
    pub(crate) fn new(tags: u32, storage: TagStorage<'a>) -> Result<Self, TagsError> {
        const { assert!(G >= 1 && G <= 64 - TAG_BITS, "generations have 1 to 48 bits") };
        storage.check(tags)?;
        Ok(Self {
            lock: TagLock::new(),
            epoch: Word::new("epoch", 0),
            cursor: TagWord::named("cursor", 1),
            pins: TagWord::named("pins", 0),
            tags,
            storage,
        })
    }

    /// Rollovers so far.
    pub(crate) fn rollovers(&self) -> u64 {
        // ORDER: relaxed; for statistics.
        self.epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn tags(&self) -> usize {
        self.tags as usize
    }

    pub(crate) fn storage(&self) -> &TagStorage<'a> {
        &self.storage
    }

    /// Runs `cpu`, the caller, under the tag that `context` has in this generation, if it has one and there was no
    /// rollover since the CPU last took the lock. Drawn above.
    #[inline]
    pub(crate) fn try_fast(&self, cpu: CpuId, context: &TagContext) -> Option<Tag> {
        // ORDER: relaxed, as are all words here but `wraps`: if a rollover is missed, the exchange below fails
        // (`renewal_vs_lock_free_switch`).
        let epoch = self.epoch.load(Ordering::Relaxed);
        // ORDER(SD-12): wraps before the word: seen current, the word is of this wrap too; partner: `renew`. The word and
        // this CPU's `active` are relaxed: one exchange decides (`renewal_vs_lock_free_switch`).
        if context.wraps.load(Site::TagWrapsSeen.acquire()) != epoch >> G {
            return None;
        }
        let word = context.word.load(Ordering::Relaxed);
        if word >> TAG_BITS != epoch & Self::GENERATION || tag_of(word) == Tag::NONE {
            return None;
        }
        let active = &self.cpu(cpu).active;
        // ORDER(SD-12): relaxed; a rollover changes the same word, and one of the two comes first
        // (`renewal_vs_lock_free_switch`).
        let old = active.load(Ordering::Relaxed);
        // ORDER(SD-8): leaving the old root before this word, which a rollover on another CPU takes for having left; partner:
        // `roll_over`. Else a table of the old space is freed by a broadcast under its new tag, which does not wait for what
        // this CPU did under the old one (`asid-switch-vs-table-free`).
        let kept = old != 0
            && active.compare_exchange(old, word, Site::TagLeft.release(), Ordering::Relaxed).is_ok();
        kept.then(|| tag_of(word))
    }

    /// Runs `cpu`, the caller, under a tag of this generation for `context`. Calls `on_new` where that is another tag
    /// than before, and `on_rollover` after a rollover, both under the lock.
    pub(crate) fn take(
        &self,
        cpu: CpuId,
        context: &TagContext,
        on_new: impl FnOnce(),
        on_rollover: impl FnOnce(),
    ) -> Taken {
        let _held = self.lock.lock();
        let word = self.renew(context, on_new, on_rollover);
        let cpu = self.cpu(cpu);
        // ORDER: relaxed; written under the lock, which this CPU holds.
        let epoch = self.epoch.load(Ordering::Relaxed);
        let rolled = cpu.flushed.load() != epoch;
        if rolled {
            cpu.flushed.store(epoch);
        }
        // ORDER: relaxed; a rollover changes it under the lock, which this CPU holds (`two_spaces_take_a_tag`).
        cpu.active.store(word, Ordering::Relaxed);
        Taken { tag: tag_of(word), rolled }
    }

    /// Notes that `cpu`, the caller, has no root loaded: its tag is not reserved at the next rollover.
    pub(crate) fn idle(&self, cpu: CpuId) {
        // ORDER(SD-8): having stopped using the tag before a rollover finds that; partner: `roll_over`. One that comes first
        // reserves the tag for nothing (`vmid-rollover`).
        self.cpu(cpu).active.store(IDLE, Site::TagLeft.release());
    }

    /// Keeps the tag of `context` over rollovers until it is unpinned as often; interrupts are off.
    pub(crate) fn pin(&self, context: &TagContext, on_rollover: impl FnOnce()) -> Result<Tag, TagsError> {
        if self.storage.pinned.is_empty() {
            return Err(TagsError::NoBitmap);
        }
        let _held = self.lock.lock();
        let (pins, pinned) = (context.pins.load(), self.pins.load());
        // Each CPU reserves one, one is 0, and one must be left to give out.
        if pins == 0 && pinned >= u64::from(self.tags) - self.storage.cpus.len() as u64 - 2 {
            return Err(TagsError::NoneToPin(pinned));
        }
        let tag = tag_of(self.renew(context, || {}, on_rollover));
        if pins == 0 {
            insert(self.storage.pinned, tag.number().into());
            self.pins.store(pinned + 1);
        }
        context.pins.store(pins + 1);
        Ok(tag)
    }

    /// Undoes one [`pin`](Self::pin); interrupts are off. The tag is free after the next rollover.
    pub(crate) fn unpin(&self, context: &TagContext) {
        let _held = self.lock.lock();
        let pins = context.pins.load();
        assert!(pins > 0, "a space is unpinned that is not pinned");
        context.pins.store(pins - 1);
        if pins == 1 {
            // ORDER: relaxed; written under the lock.
            remove(self.storage.pinned, tag_of(context.word.load(Ordering::Relaxed)).number().into());
            self.pins.store(self.pins.load() - 1);
        }
    }

    /// Gives `context` a tag of this generation, if it has none; returns tag and generation. Under the lock.
    fn renew(&self, context: &TagContext, on_new: impl FnOnce(), on_rollover: impl FnOnce()) -> u64 {
        // ORDER: relaxed; all three are written under the lock.
        let epoch = self.epoch.load(Ordering::Relaxed);
        let old = (context.word.load(Ordering::Relaxed), context.wraps.load(Ordering::Relaxed));
        let has_tag = tag_of(old.0) != Tag::NONE;
        if has_tag && old == Self::stamp(tag_of(old.0).number().into(), epoch) {
            return old.0;
        }
        let kept = has_tag && (self.update_reserved(old, epoch) || context.pins.load() > 0);
        let tag = if kept {
            tag_of(old.0).number().into()
        } else {
            on_new();
            self.free_tag(on_rollover)
        };
        // ORDER(SD-12): relaxed; written under the lock, and the release below publishes the word
        // (`renewal_vs_lock_free_switch`).
        let (word, wraps) = Self::stamp(tag, self.epoch.load(Ordering::Relaxed));
        context.word.store(word, Ordering::Relaxed);
        // ORDER(SD-12): the word before the wraps that make it count; partner: `try_fast`.
        context.wraps.store(wraps, Site::TagWraps.release());
        // ORDER(SD-4, SD-12): the tag before this CPU's walks under it: an initiator that still reads the old tag, and
        // flushes that alone, changed the page tables before; partners: the flush fences in `Shootdown::begin` and
        // `Shootdown::set_out`.
        Site::TagFence.full_fence();
        word
    }

    /// Whether some CPU runs, since a rollover, under the tag of that time. All CPUs that do are told the new
    /// generation: after another rollover each of them may be the only one left.
    fn update_reserved(&self, old: (u64, u64), epoch: u64) -> bool {
        let new = Self::stamp(tag_of(old.0).number().into(), epoch);
        let mut found = false;
        for cpu in self.storage.cpus {
            let reserved = (cpu.reserved.load(), cpu.reserved_wraps.load());
            if reserved == old {
                found = true;
                cpu.reserved.store(new.0);
                cpu.reserved_wraps.store(new.1);
            }
        }
        found
    }

    /// Takes a tag that is free, after a rollover if need be.
    fn free_tag(&self, on_rollover: impl FnOnce()) -> u64 {
        let (taken, end) = (self.storage.taken, self.tags.into());
        let tag = first_free(taken, self.cursor.load(), end).or_else(|| {
            self.roll_over();
            // Should the embedder's broadcast unwind, the next CPU finds no tag free, and rolls over again.
            self.cursor.store(end);
            on_rollover();
            first_free(taken, 1, end)
        });
        let tag = tag.expect("a rollover leaves a tag: CPUs reserve one each, pins are limited");
        insert(taken, tag);
        self.cursor.store(tag + 1);
        tag
    }

    /// Begins a generation: all tags are free but those that CPUs run under, and pinned ones.
    #[cold]
    fn roll_over(&self) {
        // ORDER(SD-12): relaxed; written under the lock. A CPU that still reads the old count on the lock-free path fails
        // there at its `active` word (`renewal_vs_lock_free_switch`).
        let before = self.epoch.load(Ordering::Relaxed);
        self.epoch.store(before + 1, Ordering::Relaxed);
        for (index, word) in self.storage.taken.iter().enumerate() {
            word.store(self.storage.pinned.get(index).map_or(0, TagWord::load));
        }
        for cpu in self.storage.cpus {
            // ORDER: relaxed; drawn above (`renewal_vs_lock_free_switch`). The accesses of a CPU under a tag that it
            // has left come before the full fence with which the new tag is given (`asid-switch-vs-table-free`).
            let active = cpu.active.swap(0, Ordering::Relaxed);
            if active != 0 {
                cpu.reserved.store(active);
                cpu.reserved_wraps.store(before >> G);
            }
            // A CPU that did not come by since the last rollover still runs under what it had then.
            let reserved = tag_of(cpu.reserved.load());
            insert(self.storage.taken, reserved.number().into());
        }
    }

    /// The bits of a rollover count that are kept beside a tag.
    const GENERATION: u64 = (1 << G) - 1;

    /// What a context holds for `tag` given after `epoch` rollovers: its word and its wraps.
    fn stamp(tag: u64, epoch: u64) -> (u64, u64) {
        ((epoch & Self::GENERATION) << TAG_BITS | tag, epoch >> G)
    }

    fn cpu(&self, cpu: CpuId) -> &CpuTags {
        &self.storage.cpus[cpu.index()]
    }
}

#[inline]
const fn tag_of(word: u64) -> Tag {
    Tag::new(word as u16)
}
