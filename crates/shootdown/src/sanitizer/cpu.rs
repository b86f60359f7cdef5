//! What one CPU may hold, as far as the platform can see: written by that CPU, read by CPUs that free something.

use super::removal::{AddressRange, Removal};
use super::words::raise;
use crate::platform::OnInstall;
use crate::sync::{Word, fence};
use crate::types::Tag;
use core::sync::atomic::Ordering;

/// Flushes of single ranges that a CPU remembers. One more than the engine's history holds for a CPU that is behind.
#[cfg(not(shootdown_explore))]
pub(crate) const FLUSHES: usize = 16;
/// The same, small enough that the checker sees it overflow.
#[cfg(shootdown_explore)]
pub(crate) const FLUSHES: usize = 4;
/// Tags that a CPU remembers, by their low bits.
#[cfg(not(shootdown_explore))]
pub(crate) const TAGS: usize = 8;
/// The same for machines with two or three tags.
#[cfg(shootdown_explore)]
pub(crate) const TAGS: usize = 4;

/// A CPU's shadow.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Cpu {
    /// Counts loads of roots: a CPU that finds another number after looking has looked at two different things.
    turn: Word,
    /// All removals up to this one were followed by a flush of everything.
    since: Word,
    /// The same, of a flush that is certain to come before this CPU next translates anything. Others write it.
    excused: Word,
    /// 1 while kernel memory is used.
    online: Word,
    /// Number at the latest flush of a range that is no longer remembered.
    forgotten: Word,
    /// Flushes of ranges so far.
    count: Word,
    flushes: [Flush; FLUSHES],
    slots: [Slot; TAGS],
}

/// A flush of a range.
#[derive(Debug)]
pub(crate) struct Flush {
    first: Word,
    last: Word,
    /// Number of the latest removal before it; tag; whether walk caches went; whether of kernel memory.
    what: Word,
}

/// What a CPU may hold under a tag.
#[derive(Debug)]
struct Slot {
    /// [`Holder`].
    holder: Word,
    /// All removals up to this one were followed by a flush of the tag.
    since: Word,
    /// Number of the latest removal when the CPU last ran under the tag.
    left: Word,
}

/// A tag, and the space that is loaded or has entries under it. 0 for nothing; space 0 for nobody's, or not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder(u64);

impl Holder {
    pub(crate) const NOTHING: Holder = Holder(0);
    /// User code may use what is loaded.
    const ACTIVE: u64 = 1;
    const VALID: u64 = 2;
    const SPACE: u32 = 18;

    /// Nobody's entries under `tag`.
    #[inline]
    pub(crate) const fn nobody(tag: Tag) -> Self {
        Holder((tag.number() as u64) << 2 | Self::VALID)
    }
    #[inline]
    pub(crate) const fn from_word(word: u64) -> Self {
        Holder(word)
    }
    #[inline]
    pub(crate) const fn word(self) -> u64 {
        self.0
    }
    #[inline]
    pub(crate) const fn space(self) -> u64 {
        self.0 >> Self::SPACE
    }
    #[inline]
    pub(crate) const fn tag(self) -> Tag {
        Tag::new((self.0 >> 2) as u16)
    }
    /// The tag, where anything is loaded.
    #[inline]
    pub(crate) const fn tag_if_any(self) -> Option<Tag> {
        if self.0 == 0 { None } else { Some(self.tag()) }
    }
    #[inline]
    pub(crate) const fn is_of(self, tag: Tag) -> bool {
        (self.0 ^ Holder::nobody(tag).0) >> 1 & 0x1_ffff == 0
    }
    /// The same tag, with the entries of `space`.
    #[inline]
    pub(crate) const fn with(self, space: u64) -> Self {
        Holder(self.0 & 0x3_ffff | space << Self::SPACE)
    }
    #[inline]
    pub(crate) const fn active(self) -> Self {
        Holder(self.0 | Self::ACTIVE)
    }
    #[inline]
    pub(crate) const fn idle(self) -> Self {
        Holder(self.0 & !Self::ACTIVE)
    }
    #[inline]
    pub(crate) const fn is_active(self) -> bool {
        self.0 & Self::ACTIVE != 0
    }
    /// Active if `other` is.
    #[inline]
    pub(crate) const fn like(self, other: Holder) -> Self {
        Holder(self.0 | other.0 & Self::ACTIVE)
    }
}

/// What a CPU finds when it begins to use a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Entries of that space, or none.
    Own,
    /// Those of another.
    Others(u64),
}

/// State of entries that a removal took out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// They are gone.
    Flushed,
    /// Too much is forgotten to say.
    Unknown,
    /// They were never flushed.
    Missing,
}

impl Cpu {
    pub(crate) const fn new() -> Self {
        Self {
            turn: Word::new("turn", 0),
            since: Word::new("since", 0),
            excused: Word::new("excused", 0),
            online: Word::new("online", 0),
            forgotten: Word::new("forgotten", 0),
            count: Word::new("count", 0),
            flushes: [const { Flush::new() }; FLUSHES],
            slots: [const { Slot::new() }; TAGS],
        }
    }
}

/// What this CPU does to its own shadow. Interrupts are off.
impl Cpu {
    /// A root was loaded under `tag`, in place of `old`; `now` is the number of the latest removal before that. Whose
    /// it is comes with [`begin`](Self::begin). `wipes` says whether all tags were ever flushed on all CPUs.
    #[inline]
    pub(crate) fn load(&self, old: Holder, tag: Tag, how: OnInstall, now: u64, wipes: bool) {
        // ORDER: relaxed, as only this CPU writes it. What follows is seen with the new number; partner: `turn`.
        self.turn.store(self.turn.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        if let (true, Some(old)) = (wipes, old.tag_if_any()) {
            self.slot(old).left.store(now, Ordering::Relaxed);
        }
        if how == OnInstall::Flush {
            self.slot(tag).set(Holder::nobody(tag), now);
        }
    }

    /// This CPU begins to use a space under what was loaded last, together `own`. Answers up to which removal it has
    /// flushed everything under that tag, if the tag was not another space's before.
    #[inline]
    pub(crate) fn begin(&self, own: Holder) -> Option<&Word> {
        let slot = self.slot(own.tag());
        let holder = slot.holder();
        if holder != own {
            if holder != own.with(0) {
                return None;
            }
            slot.holder.store(own.0, Ordering::Relaxed);
        }
        Some(&slot.since)
    }

    /// The same where the tag was last another space's, or is not remembered. `now` is the number of the latest removal
    /// before it was loaded or later, `wiped_by` that at the end of the latest flush of all tags on all CPUs.
    #[cold]
    pub(crate) fn take_over(&self, own: Holder, now: u64, wiped_by: u64) -> Found {
        let slot = self.slot(own.tag());
        let holder = slot.holder();
        // Entries that are not remembered count as flushed: that may miss something, and accuses nobody.
        let gone = !holder.is_of(own.tag()) || wiped_by > slot.left.load(Ordering::Relaxed);
        slot.set(own, now);
        if gone { Found::Own } else { Found::Others(holder.space()) }
    }

    /// All under `tag` was flushed; `now` is the number of the latest removal before that. `loaded` is the tag of what
    /// is loaded, if anything.
    pub(crate) fn flush_tag(&self, tag: Tag, now: u64, loaded: Option<Tag>) {
        let slot = self.slot(tag);
        let holder = slot.holder();
        if holder.is_of(tag) {
            slot.set(if loaded == Some(tag) { holder } else { Holder::nobody(tag) }, now);
        }
    }

    /// The same of everything.
    pub(crate) fn flush_everything(&self, now: u64, loaded: Option<Tag>) {
        for slot in &self.slots {
            if !loaded.is_some_and(|tag| slot.holder().is_of(tag)) {
                slot.holder.store(0, Ordering::Relaxed);
            }
        }
        self.since.store(now, Ordering::Release);
    }

    /// Pages were flushed, as `what` says.
    #[inline]
    pub(crate) fn remember(&self, span: AddressRange, what: u64) {
        let count = self.count.load(Ordering::Relaxed);
        let flush = &self.flushes[count as usize % FLUSHES];
        // ORDER(SD-8): a CPU that sees the new flush in this place sees that the old one is forgotten; partner: `cover`.
        self.forgotten.store(flush.what.load(Ordering::Relaxed) >> 18, Ordering::Relaxed);
        fence(Ordering::Release);
        flush.first.store(span.first, Ordering::Relaxed);
        flush.last.store(span.last, Ordering::Relaxed);
        flush.what.store(what, Ordering::Relaxed);
        // ORDER(SD-8): the flush before the count that leads to it; partner: `remembers`.
        self.count.store(count.wrapping_add(1), Ordering::Release);
    }

    /// Kernel memory is used from now on.
    pub(crate) fn set_online(&self, online: bool) {
        self.online.store(online.into(), Ordering::Release);
    }
}

/// What others ask.
impl Cpu {
    /// Changes whenever a root is loaded.
    pub(crate) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// Whether kernel memory is used.
    #[inline]
    pub(crate) fn is_online(&self) -> bool {
        self.online.load(Ordering::Acquire) != 0
    }

    /// This CPU is certain to flush everything before it next translates anything; `now` is the number of the latest
    /// removal.
    pub(crate) fn excuse(&self, now: u64) {
        raise(&self.excused, now);
    }

    /// Whether it is plain that this CPU has flushed what a removal took out, of what it holds under `tag`.
    #[inline]
    pub(crate) fn has_flushed(&self, removal: &Removal, tag: Tag) -> bool {
        let slot = self.slot(tag);
        slot.holder().is_of(tag) && slot.since.load(Ordering::Acquire) >= removal.number
            || self.remembers(removal, Flush::code(removal.number, Some(tag), removal.frees_tables))
    }

    /// Whether this CPU has flushed what a removal took out, of what it holds under `tag` (nothing for kernel memory).
    /// `wiped` is up to which removal all CPUs have flushed what they hold under any tag.
    pub(crate) fn cover(&self, removal: &Removal, tag: Option<Tag>, wiped: u64) -> Cover {
        let number = removal.number;
        let plain = match tag {
            Some(tag) => number <= wiped || self.has_flushed(removal, tag),
            None => self.remembers(removal, Flush::code(number, None, removal.frees_tables)),
        };
        if plain || number <= self.since.load(Ordering::Acquire) || removal.reached(tag.unwrap_or(Tag::NONE))
        {
            return Cover::Flushed;
        }
        // ORDER(SD-8): the flushes before what is forgotten of them; partner: `remember`.
        fence(Ordering::Acquire);
        if number <= self.forgotten.load(Ordering::Relaxed) {
            return Cover::Unknown;
        }
        // A flush that passed this CPU over noted that before the release, which the caller has seen.
        if number <= self.excused.load(Ordering::Acquire) { Cover::Flushed } else { Cover::Missing }
    }

    /// Whether a flush that is remembered took out what `removal` did. Looks at the latest first, and no further back
    /// than the removal.
    fn remembers(&self, removal: &Removal, wanted: u64) -> bool {
        // ORDER(SD-8): the count before the flushes, or the latest looks like one that is older than the removal and ends the
        // search; partner: `remember`.
        let count = self.count.load(Ordering::Acquire);
        for back in 1..=FLUSHES as u64 {
            let flush = &self.flushes[count.wrapping_sub(back) as usize % FLUSHES];
            let what = flush.what.load(Ordering::Relaxed);
            if what >> 18 < removal.number {
                return false;
            }
            if flush.covers(removal, what, wanted) {
                return true;
            }
        }
        false
    }

    #[inline]
    fn slot(&self, tag: Tag) -> &Slot {
        &self.slots[usize::from(tag.number()) % TAGS]
    }
}

impl Slot {
    const fn new() -> Self {
        Self { holder: Word::new("holder", 0), since: Word::new("since", 0), left: Word::new("left", 0) }
    }

    #[inline]
    fn holder(&self) -> Holder {
        Holder(self.holder.load(Ordering::Relaxed))
    }

    #[inline]
    fn set(&self, holder: Holder, since: u64) {
        self.holder.store(holder.0, Ordering::Relaxed);
        self.since.store(since, Ordering::Release);
    }
}

impl Flush {
    const fn new() -> Self {
        Self { first: Word::new("first", 0), last: Word::new("last", 0), what: Word::new("what", 0) }
    }

    /// Number of the latest removal before it, tag (nothing for kernel memory), and whether walk caches went.
    #[inline]
    pub(crate) const fn code(number: u64, tag: Option<Tag>, frees_tables: bool) -> u64 {
        let (tag, kernel) = match tag {
            Some(tag) => (tag.number() as u64, 0),
            None => (0, 2),
        };
        number << 18 | tag << 2 | kernel | frees_tables as u64
    }

    /// Whether the flush, which is of this kind and not older, took out what `removal` did; `wanted` is the
    /// [`code`](Self::code) of a flush that just does.
    #[inline]
    fn covers(&self, removal: &Removal, what: u64, wanted: u64) -> bool {
        let same = (what ^ wanted) & 0x3_ffff & !1 == 0;
        let span = AddressRange {
            first: self.first.load(Ordering::Relaxed),
            last: self.last.load(Ordering::Relaxed),
        };
        same && what & 1 >= wanted & 1 && span.holds(removal.span)
    }
}
