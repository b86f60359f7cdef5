//! What one CPU may hold, as far as the platform can see: written by that CPU, read by whoever gives something back.

use crate::removal::{Removal, Span};
use crate::sync::{Word, fence, raise};
use core::sync::atomic::Ordering;
use shootdown::{LocalFlush, OnInstall, Scope, Tables, Tag};

/// Flushes of single ranges that a CPU remembers. One more than the engine's ring tells a CPU that is late.
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
    /// Counts loads of roots: who finds another number after looking has looked at two different things.
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
struct Flush {
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

/// A tag and whose entries are held under it: space, tag, 1; or 0 where nothing is known. Space 0 for nobody's.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Holder(u64);

impl Holder {
    #[inline]
    const fn new(space: u64, tag: Tag) -> Self {
        Holder(space << 17 | (tag.number() as u64) << 1 | 1)
    }
    #[inline]
    const fn is_of(self, tag: Tag) -> bool {
        (self.0 ^ Holder::new(0, tag).0) & 0x1_ffff == 0
    }
    #[inline]
    const fn space(self) -> u64 {
        self.0 >> 17
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

/// What is known about entries that a removal took out.
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
    /// A root was loaded under `tag`, in place of one under `old` or of none; `now` is the number of the latest removal
    /// before that. Whose it is comes with [`begin`](Self::begin).
    #[inline]
    pub(crate) fn load(&self, old: Option<Tag>, tag: Tag, how: OnInstall, now: u64) {
        // ORDER: relaxed, as only this CPU writes it. What follows is seen with the new number; partner: `turn`.
        self.turn.store(self.turn.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        if let Some(old) = old {
            self.slot(old).left.store(now, Ordering::Relaxed);
        }
        if how == OnInstall::Flush {
            self.slot(tag).set(Holder::new(0, tag), now);
        }
    }

    /// This CPU begins to use `space`, which was loaded under `tag`; `now` is the number of the latest removal before it was
    /// loaded or later. `wiped_by` is the number at the end of the latest flush of all tags on all CPUs.
    #[inline]
    pub(crate) fn begin(&self, space: u64, tag: Tag, now: u64, wiped_by: u64) -> Found {
        let slot = self.slot(tag);
        let holder = slot.holder();
        let own = Holder::new(space, tag);
        if holder == own {
            return Found::Own;
        }
        if holder == Holder::new(0, tag) {
            slot.holder.store(own.0, Ordering::Relaxed);
            return Found::Own;
        }
        // What is not remembered counts as flushed: that may miss something, and accuses nobody.
        let gone = !holder.is_of(tag) || wiped_by > slot.left.load(Ordering::Relaxed);
        slot.set(own, now);
        if gone { Found::Own } else { Found::Others(holder.space()) }
    }

    /// Something was flushed; `now` is the number of the latest removal before that. `loaded` is the tag of what is
    /// loaded, if anything.
    #[inline]
    pub(crate) fn flush(&self, what: LocalFlush, now: u64, loaded: Option<Tag>) {
        match what {
            LocalFlush::Pages { tag, range, tables } => {
                let slot = self.slot(tag);
                // Nothing was removed since the tag was flushed whole: there is nothing to remember.
                if !slot.holder().is_of(tag) || slot.since.load(Ordering::Relaxed) != now {
                    self.remember(Span::of(Scope::Pages(range)), Flush::code(now, Some(tag), tables));
                }
            }
            LocalFlush::KernelPages { range, tables } => {
                if self.since.load(Ordering::Relaxed) != now {
                    self.remember(Span::of(Scope::Pages(range)), Flush::code(now, None, tables));
                }
            }
            LocalFlush::Tag(tag) => {
                let slot = self.slot(tag);
                let holder = slot.holder();
                if holder.is_of(tag) {
                    let runs = loaded == Some(tag);
                    slot.set(if runs { holder } else { Holder::new(0, tag) }, now);
                }
            }
            LocalFlush::Everything => self.flush_everything(now, loaded),
        }
    }

    #[cold]
    fn flush_everything(&self, now: u64, loaded: Option<Tag>) {
        for slot in &self.slots {
            if !loaded.is_some_and(|tag| slot.holder().is_of(tag)) {
                slot.holder.store(0, Ordering::Relaxed);
            }
        }
        self.since.store(now, Ordering::Release);
    }

    #[inline]
    fn remember(&self, span: Span, what: u64) {
        let count = self.count.load(Ordering::Relaxed);
        let flush = &self.flushes[count as usize % FLUSHES];
        // ORDER: who sees the new flush in this place sees that the old one is forgotten; partner: `look_up`.
        self.forgotten.store(flush.what.load(Ordering::Relaxed) >> 18, Ordering::Relaxed);
        fence(Ordering::Release);
        flush.first.store(span.first, Ordering::Relaxed);
        flush.last.store(span.last, Ordering::Relaxed);
        flush.what.store(what, Ordering::Relaxed);
        self.count.store(count.wrapping_add(1), Ordering::Relaxed);
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

    /// Up to which removal everything under `tag` was flushed.
    #[inline]
    pub(crate) fn clean_tag(&self, tag: Tag, wiped: u64) -> u64 {
        let slot = self.slot(tag);
        let whole = if slot.holder().is_of(tag) { slot.since.load(Ordering::Acquire) } else { 0 };
        whole.max(wiped).max(self.clean())
    }

    /// Up to which removal everything was flushed.
    #[inline]
    pub(crate) fn clean(&self) -> u64 {
        self.since.load(Ordering::Acquire).max(self.excused.load(Ordering::Acquire))
    }

    /// Whether this CPU has flushed what a removal took out, of what it holds under `tag` (nothing for kernel memory).
    /// `clean` is up to which removal it has flushed everything.
    pub(crate) fn cover(&self, removal: &Removal, tag: Option<Tag>, clean: u64) -> Cover {
        if removal.number <= clean || removal.reached(tag.unwrap_or(Tag::NONE)) {
            return Cover::Flushed;
        }
        if self.remembers(removal, Flush::code(removal.number, tag, removal.tables)) {
            return Cover::Flushed;
        }
        // ORDER: the flushes before what is forgotten of them; partner: `remember`.
        fence(Ordering::Acquire);
        if removal.number <= self.forgotten.load(Ordering::Relaxed) {
            return Cover::Unknown;
        }
        // Whoever passed this CPU over noted that before the release, which the caller has seen; `clean` may be older.
        if removal.number <= self.excused.load(Ordering::Relaxed) { Cover::Flushed } else { Cover::Missing }
    }

    /// Whether a flush that is remembered took out what `removal` did. Looks at the latest first, and no further back than
    /// the removal.
    fn remembers(&self, removal: &Removal, wanted: u64) -> bool {
        let count = self.count.load(Ordering::Relaxed);
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

    #[inline]
    const fn code(number: u64, tag: Option<Tag>, tables: Tables) -> u64 {
        let (tag, kernel) = match tag {
            Some(tag) => (tag.number() as u64, 0),
            None => (0, 2),
        };
        number << 18 | tag << 2 | kernel | matches!(tables, Tables::Freed) as u64
    }

    /// Whether the flush, which is of this kind and not older, took out what `removal` did; `wanted` is the [`code`](Self::code) of a flush that just does.
    #[inline]
    fn covers(&self, removal: &Removal, what: u64, wanted: u64) -> bool {
        let same = (what ^ wanted) & 0x3_ffff & !1 == 0;
        let span =
            Span { first: self.first.load(Ordering::Relaxed), last: self.last.load(Ordering::Relaxed) };
        same && what & 1 >= wanted & 1 && span.holds(removal.span)
    }
}
