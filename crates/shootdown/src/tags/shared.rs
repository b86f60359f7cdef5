//! Global tags for busy spaces on top of per-CPU ones (x86 with INVLPGB).

use crate::engine::Shootdown;
use crate::fault::{Rule, Site, without};
use crate::platform::{IrqReason, Platform};
use crate::space::AddressSpace;
use crate::sync::Word;
use crate::tags::lock::TagLock;
use crate::tags::storage::{TagWord, TagsError, check_bitmaps, first_free, insert};
use crate::tags::{Assignment, FlushMethod, PerCpuSlots, Residue, TagBroadcast, TagCpu, TagPolicy, TagSpace};
use crate::this_cpu::ThisCpu;
use crate::types::{FlushRequest, Tag};
use core::sync::atomic::Ordering;

/// x86 tags of both kinds (Linux: `consider_global_asid`): 1 to `N` of each CPU, keyed by identity ([`PerCpuSlots`]),
/// and above them tags that mean the same space on all CPUs, for spaces that run on many: their flushes are broadcasts
/// under the tag, without IPIs. A space begins with tags of its CPUs. [`Shootdown::share_tag`] gives it a global one,
/// which it keeps until it dies.
///
/// ```text
///             begin_share                flush, all moved             the space dies
///   per CPU -----------------> moving ----------------------> shared -----------------> freed
///   ipis                       both                           broadcast                   |
///                                                                  a wrap: one broadcast  |
///   free <--------------------------------------------------------------------------------'
/// ```
/// While moving, flushes go both ways: CPUs that have moved are reached by the broadcast, the others by IPIs. The move
/// itself is a flush: its generation announces the tag, a CPU that catches up with it loads the root under the new tag,
/// and when the flush is complete no CPU runs the space under a tag of the CPU's own. A freed tag is given out again
/// only after the search has reached the end of the tags and one broadcast has dropped what CPUs hold under any of
/// them.
///
/// Source: Linux `arch/x86/mm/tlb.c` (`consider_global_asid`, `use_global_asid`, `finish_asid_transition`,
/// `reset_global_asid_space`); AMD APM volume 3, INVLPGB and TLBSYNC.
///
/// # Examples
/// ```
/// use shootdown::tags::{GlobalOverLocal, Tag, TagBroadcast, TagWord, TagsError};
///
/// struct Invlpgb;
/// // SAFETY: 1. for the example there is no TLB.
/// unsafe impl TagBroadcast for Invlpgb {
///     fn flush_all_tags(&self) {} // INVLPGB, then TLBSYNC
/// }
///
/// static TAKEN: [TagWord; 1] = [const { TagWord::new() }; 1];
/// static FREED: [TagWord; 1] = [const { TagWord::new() }; 1];
/// // Tags 1 to 6 belong to each CPU; a space that runs on many CPUs may get one of 7 to 63.
/// let tags = GlobalOverLocal::<_, 6>::new(Tag::new(7), 64, &TAKEN, &FREED, Invlpgb);
/// assert!(tags.is_ok());
/// let overlap = GlobalOverLocal::<_, 6>::new(Tag::new(6), 64, &TAKEN, &FREED, Invlpgb);
/// assert_eq!(overlap.err(), Some(TagsError::Overlaps(Tag::new(6), 6)));
/// ```
#[derive(Debug)]
pub struct GlobalOverLocal<'a, B: TagBroadcast, const N: usize> {
    local: PerCpuSlots<N>,
    broadcast: B,
    lock: TagLock,
    /// Where the search for a free tag goes on.
    cursor: TagWord,
    first: u64,
    end: u64,
    taken: &'a [TagWord],
    freed: &'a [TagWord],
}

/// A space's data: its global tag, if it has one.
#[derive(Debug)]
pub struct SharedTag(Word);

/// Bit of a [`SharedTag`]: some CPU may still run the space under a tag of the CPU's own.
const MOVING: u64 = 1 << 16;

impl SharedTag {
    /// The global tag.
    #[inline]
    pub fn tag(&self) -> Option<Tag> {
        // ORDER: relaxed; see `GlobalOverLocal::assign` (`global-tag`, `reuse_after_sharing`).
        Some(Tag::new(self.0.load(Ordering::Relaxed) as u16)).filter(|&tag| tag != Tag::NONE)
    }
}

impl<'a, B: TagBroadcast, const N: usize> GlobalOverLocal<'a, B, N> {
    /// Makes an allocator of global tags from `first`, which is above `N`, to `tags - 1`. `taken` and `freed` have a
    /// bit for each tag below `tags`; see [`tag_words`](crate::tags::tag_words).
    ///
    /// # Errors
    /// If `first` is one of the CPUs' own tags or not below `tags`, if there are more than 65536 tags, or if a bitmap
    /// is too small.
    pub fn new(
        first: Tag,
        tags: u32,
        taken: &'a [TagWord],
        freed: &'a [TagWord],
        broadcast: B,
    ) -> Result<Self, TagsError> {
        if usize::from(first.number()) <= N {
            return Err(TagsError::Overlaps(first, N as u32));
        }
        if tags <= u32::from(first.number()) {
            return Err(TagsError::NoneFrom(first, tags));
        }
        check_bitmaps(tags, taken, freed)?;
        if freed.is_empty() {
            return Err(TagsError::BitmapTooSmall(0, taken.len()));
        }
        let first = u64::from(first.number());
        Ok(Self {
            local: PerCpuSlots,
            broadcast,
            lock: TagLock::new(),
            cursor: TagWord::named("cursor", first),
            first,
            end: tags.into(),
            taken,
            freed,
        })
    }

    /// Takes a tag that is free; under the lock.
    fn free_tag(&self) -> Option<u64> {
        let found = first_free(self.taken, self.cursor.load(), self.end);
        let tag = found.or_else(|| {
            self.wrap();
            first_free(self.taken, self.first, self.end)
        })?;
        insert(self.taken, tag);
        self.cursor.store(tag + 1);
        Some(tag)
    }

    /// Makes freed tags available again, after all CPUs have dropped what they hold under them.
    #[cold]
    fn wrap(&self) {
        if self.freed.iter().all(|word| word.load() == 0) {
            return;
        }
        if !without(Rule::TagReuseFlushes) {
            self.broadcast.flush_all_tags();
        }
        for (taken, freed) in self.taken.iter().zip(self.freed) {
            taken.store(taken.load() & !freed.load());
            freed.store(0);
        }
    }
}

// SAFETY: 1. the CPUs' own tags are those of `PerCpuSlots`; a global one means one space from a broadcast, or from when it was
// new, to the space's death; 2. global tags are given back by the dead, own ones as in `PerCpuSlots`; 3. drawn at `assign`: while
// some CPU may be under a tag of its own, flushes go both ways; 4. `moved` names the global tag from when there is one.
unsafe impl<B: TagBroadcast, const N: usize> TagPolicy for GlobalOverLocal<'_, B, N> {
    type Space = SharedTag;
    const ENTRIES_SURVIVE_SWITCH: bool = true;
    const CAN_REASSIGN: bool = true;
    const FREES_TAGS: bool = true;

    fn new_space(&self) -> SharedTag {
        SharedTag(Word::new("shared_tag", 0))
    }

    /// A global tag is current by itself: every flush since it was given reaches it.
    ///
    /// ```text
    ///   this CPU                         initiator of a flush          a CPU that shares
    ///   switching, bit, full fence       page tables change            shared_tag := tag, moving
    ///   reads generation                 generation += 1, full fence   generation += 1, full fence
    ///   reads shared_tag                 reads shared_tag              waits for CPUs that are behind
    ///   installs
    /// ```
    /// An initiator that reads no tag sends an IPI to every CPU that is behind, under whichever tag. If this CPU ran
    /// under the tag and left before that initiator looked at it, it read the tag after the initiator did, so its walks
    /// began after the page tables had changed. Explored by `global-tag`.
    #[inline]
    fn assign(&self, cpu: TagCpu<'_>, space: TagSpace<'_, SharedTag>) -> Assignment {
        // ORDER: relaxed: it is read before the walks under it (platform contract of `install`); see the drawing.
        match space.memory.tag() {
            Some(tag) => Assignment { tag, residue: Residue::Current },
            None => self.local.assign(cpu, space.remembering(&())),
        }
    }

    #[inline]
    fn on_switch_out(&self, cpu: TagCpu<'_>, space: TagSpace<'_, SharedTag>, tag: Tag, generation: u64) {
        if usize::from(tag.number()) <= N {
            self.local.on_switch_out(cpu, space.remembering(&()), tag, generation);
        }
    }

    fn flushed(&self, cpu: TagCpu<'_>) {
        self.local.flushed(cpu);
    }

    #[inline]
    fn reassigned(&self, space: &SharedTag, tag: Tag) -> Option<Tag> {
        space.tag().filter(|&shared| shared != tag)
    }

    #[inline]
    fn flush_method(&self, space: &SharedTag) -> FlushMethod {
        // ORDER(SD-8): seen shared, what CPUs did under tags of their own is over before reuse; partner: `finish_share`.
        let word = space.0.load(Site::SharedTagSeen.acquire());
        let tag = Tag::new(word as u16);
        match word {
            0 => FlushMethod::Ipis(None),
            _ if word & MOVING != 0 => FlushMethod::Both(tag),
            _ => FlushMethod::Broadcast(tag),
        }
    }

    fn retire(&self, space: TagSpace<'_, SharedTag>) {
        if let Some(tag) = space.memory.tag() {
            let _held = self.lock.lock();
            insert(self.freed, tag.number().into());
        }
    }
}

/// A policy that can give a space a tag that all CPUs use. It keeps the promises of [`TagPolicy`] through these calls
/// as well.
pub trait ShareTags: TagPolicy {
    /// Gives `space` a tag that CPUs move to as they catch up. Called with interrupts off.
    ///
    /// # Errors
    /// See [`TagsError`].
    fn begin_share(&self, space: TagSpace<'_, Self::Space>) -> Result<Tag, TagsError>;

    /// Notes that all CPUs have moved.
    fn finish_share(&self, space: TagSpace<'_, Self::Space>);
}

impl<B: TagBroadcast, const N: usize> ShareTags for GlobalOverLocal<'_, B, N> {
    fn begin_share(&self, space: TagSpace<'_, SharedTag>) -> Result<Tag, TagsError> {
        let _held = self.lock.lock();
        if let Some(tag) = space.memory.tag() {
            return Err(TagsError::AlreadyShared(tag));
        }
        let Some(tag) = self.free_tag() else {
            return Err(TagsError::NoneToShare(self.end - self.first));
        };
        // ORDER: relaxed; the generation that announces the move is bumped by a release (SD-4; `reuse_after_sharing`).
        space.memory.0.store(tag | MOVING, Ordering::Relaxed);
        Ok(Tag::new(tag as u16))
    }

    fn finish_share(&self, TagSpace { memory: SharedTag(shared), .. }: TagSpace<'_, SharedTag>) {
        // ORDER: relaxed; only this CPU writes the word until the move is over.
        let word = shared.load(Ordering::Relaxed) & !MOVING;
        // ORDER(SD-8): the acknowledgements of CPUs that moved before initiators rest on the broadcast; partner:
        // `flush_method`.
        shared.store(word, Site::SharedTag.release());
    }
}

impl<P: Platform> Shootdown<P>
where
    P::Tags: ShareTags,
{
    /// Gives `space`, which runs on many CPUs, a tag that all of them use (Linux: `use_global_asid`,
    /// `finish_asid_transition`), so that from now on its flushes are broadcasts. Waits, until every CPU that runs it
    /// has moved.
    ///
    /// # Errors
    /// [`TagsError::NoneToShare`]; [`TagsError::AlreadyShared`], also while another CPU shares the tag.
    ///
    /// # Panics
    /// If another engine made the space.
    pub fn share_tag(&self, space: &AddressSpace<P>) -> Result<Tag, TagsError> {
        self.must_own(space);
        let tag = {
            let _this_cpu = ThisCpu::enter(self, IrqReason::Tags);
            self.platform().tags().begin_share(space.tag_space())?
        };
        // As if tables were freed, so that lazy CPUs are told: broadcasts do not reach what their walkers cache under tags
        // of their own.
        self.flush_own(space, FlushRequest::all().tables_freed());
        self.platform().tags().finish_share(space.tag_space());
        Ok(tag)
    }
}
