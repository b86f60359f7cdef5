//! What was unmapped, and whether it was given back: a ring of the latest removals of the machine.

use super::words::exchange;
use crate::sync::{Word, fence};
use crate::types::{CpuId, FlushRequest, PageSize, SpaceId, Tag};
use core::sync::atomic::Ordering;

/// A run of addresses, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl AddressRange {
    pub(crate) const ALL: AddressRange = AddressRange { first: 0, last: u64::MAX };

    #[inline]
    pub(crate) fn of(request: FlushRequest) -> Self {
        match request.range() {
            Some(range) => Self::of_pages(range.start().0, range.count(), range.size() as u8),
            None => AddressRange::ALL,
        }
    }

    #[inline]
    pub(crate) const fn of_pages(first: u64, count: u64, size: u8) -> Self {
        // What ends with the address space has a byte more than a word counts.
        let last = first.wrapping_add((count << shift(size)).wrapping_sub(1));
        AddressRange { first, last }
    }

    #[inline]
    pub(crate) const fn holds(self, other: AddressRange) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// Base-2 logarithm of the bytes of a page, by the number of its [`PageSize`]: eight of them in a word.
#[inline]
const fn shift(size: u8) -> u64 {
    const SHIFTS: u64 = {
        let sizes = [
            PageSize::Size4K,
            PageSize::Size16K,
            PageSize::Size64K,
            PageSize::Size2M,
            PageSize::Size32M,
            PageSize::Size512M,
            PageSize::Size1G,
        ];
        let (mut word, mut at) = (0, 0);
        while at < sizes.len() {
            word |= (sizes[at].shift() as u64) << (8 * sizes[at] as u32);
            at += 1;
        }
        word
    };
    SHIFTS >> (8 * (size & 7)) & 0xff
}

/// Translations that were taken out of the page tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// Counts removals of the machine, from 1.
    pub(crate) number: u64,
    /// Whose; 0 for kernel memory.
    pub(crate) space: u64,
    pub(crate) span: AddressRange,
    pub(crate) frees_tables: bool,
    /// The CPU that took them out.
    pub(crate) by: CpuId,
    /// Tags under which a broadcast has reached all CPUs.
    reached: Reached,
}

impl Removal {
    #[inline]
    pub(crate) fn new(number: u64, space: u64, request: FlushRequest, by: CpuId) -> Self {
        let (span, frees_tables) = (AddressRange::of(request), request.frees_tables());
        Self { number, space, span, frees_tables, by, reached: Reached::NONE }
    }

    /// Number of the space, 0 for kernel memory.
    #[inline]
    pub(crate) const fn space_word(space: Option<SpaceId>) -> u64 {
        match space {
            Some(space) => space.number(),
            None => 0,
        }
    }

    /// Whether a broadcast has reached what CPUs hold under `tag`.
    pub(crate) fn reached(&self, tag: Tag) -> bool {
        self.reached.holds(tag)
    }
}

/// Tags that broadcasts have reached: none, up to three, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reached(u64);

impl Reached {
    const NONE: Reached = Reached(0);
    const ALL: Reached = Reached(u64::MAX);

    fn holds(self, tag: Tag) -> bool {
        self == Self::ALL || (0..3).any(|place| self.0 >> (17 * place) & 0x1_ffff == Self::code(tag))
    }

    /// A fourth tag makes it "all": that may miss a violation, and never reports a false one.
    fn with(self, tag: Option<Tag>) -> Reached {
        let Some(tag) = tag else { return Self::ALL };
        if self.holds(tag) {
            return self;
        }
        match (0..3).find(|place| self.0 >> (17 * place) & 0x1_ffff == 0) {
            Some(place) => Reached(self.0 | Self::code(tag) << (17 * place)),
            None => Self::ALL,
        }
    }

    fn code(tag: Tag) -> u64 {
        u64::from(tag.number()) + 1
    }
}

/// How far a removal is, in the low bits of its stamp.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its words are being written.
    Writing = 1,
    /// Its frames are held.
    Held = 2,
    /// Its frames were let go.
    Released = 3,
}

/// One place of the ring.
#[derive(Debug)]
struct Place {
    /// Number of the removal, times 4, and its [`Stage`].
    stamp: Word,
    /// Space; CPU; whether tables are freed.
    whose: Word,
    first: Word,
    last: Word,
    reached: Word,
}

/// The latest removals. Each has its place by its number; one that comes later takes it.
#[derive(Debug)]
pub(crate) struct Removals<const PENDING: usize> {
    places: [Place; PENDING],
}

/// The place was taken by another removal.
pub(crate) struct Displaced;

const fn stamp(number: u64, stage: Stage) -> u64 {
    number << 2 | stage as u64
}

impl<const PENDING: usize> Removals<PENDING> {
    pub(crate) const fn new() -> Self {
        assert!(PENDING > 0, "a sanitizer remembers one removal at least");
        Self { places: [const { Place::new() }; PENDING] }
    }

    /// Notes a removal whose frames are held.
    ///
    /// # Errors
    /// [`Displaced`], where a later one is there or another is being written.
    #[inline]
    pub(crate) fn hold(&self, removal: &Removal) -> Result<(), Displaced> {
        let place = self.place(removal.number);
        let old = place.stamp.load(Ordering::Relaxed);
        let writing = stamp(removal.number, Stage::Writing);
        if old & 3 == Stage::Writing as u64 || old > writing {
            return Err(Displaced);
        }
        exchange(&place.stamp, old, writing).map_err(|_| Displaced)?;
        // ORDER(SD-8): a CPU that reads one of the words below sees the stamp above too, and turns them down; partner: `read`.
        fence(Ordering::Release);
        let tables = u64::from(removal.frees_tables);
        let by = u64::from(removal.by.number() & 0xffff) << 1;
        place.whose.store(removal.space << 17 | by | tables, Ordering::Relaxed);
        place.first.store(removal.span.first, Ordering::Relaxed);
        place.last.store(removal.span.last, Ordering::Relaxed);
        place.reached.store(removal.reached.0, Ordering::Relaxed);
        // ORDER(SD-8): the words are whole before the stamp says so; partner: `read`.
        place.stamp.store(stamp(removal.number, Stage::Held), Ordering::Release);
        Ok(())
    }

    /// Marks a removal as released and returns it.
    ///
    /// # Errors
    /// [`Displaced`].
    #[inline]
    pub(crate) fn release(&self, number: u64) -> Result<Removal, Displaced> {
        let place = self.place(number);
        let held = stamp(number, Stage::Held);
        let removal = place.read(held).ok_or(Displaced)?;
        exchange(&place.stamp, held, stamp(number, Stage::Released)).map_err(|_| Displaced)?;
        Ok(removal)
    }

    /// Calls `visit` with each removal of `space` whose frames were let go.
    pub(crate) fn each_released(&self, space: u64, mut visit: impl FnMut(&Removal)) {
        for place in &self.places {
            let now = place.stamp.load(Ordering::Acquire);
            if now & 3 != Stage::Released as u64 {
                continue;
            }
            if let Some(removal) = place.read(now).filter(|removal| removal.space == space) {
                visit(&removal);
            }
        }
    }

    /// Notes that a broadcast has reached what `request` covers of what all CPUs hold under `tag` (under any, where
    /// there is none named), for removals up to number `upto`.
    pub(crate) fn reach(&self, space: u64, request: FlushRequest, tag: Option<Tag>, upto: u64) {
        for place in &self.places {
            let now = place.stamp.load(Ordering::Acquire);
            if now >> 2 > upto {
                continue;
            }
            let Some(removal) = place.read(now) else { continue };
            let enough = request.frees_tables() || !removal.frees_tables;
            if removal.space == space && AddressRange::of(request).holds(removal.span) && enough {
                place.add_reached(tag);
            }
        }
    }

    #[inline]
    fn place(&self, number: u64) -> &Place {
        &self.places[number as usize % PENDING]
    }
}

impl Place {
    const fn new() -> Self {
        Self {
            stamp: Word::new("stamp", 0),
            whose: Word::new("whose", 0),
            first: Word::new("first", 0),
            last: Word::new("last", 0),
            reached: Word::new("reached", 0),
        }
    }

    /// Reads the removal if the stamp is `expected` before and after, and says that it is whole.
    #[inline]
    fn read(&self, expected: u64) -> Option<Removal> {
        if expected & 3 < Stage::Held as u64 || self.stamp.load(Ordering::Acquire) != expected {
            return None;
        }
        let whose = self.whose.load(Ordering::Relaxed);
        let removal = Removal {
            number: expected >> 2,
            space: whose >> 17,
            span: AddressRange {
                first: self.first.load(Ordering::Relaxed),
                last: self.last.load(Ordering::Relaxed),
            },
            frees_tables: whose & 1 == 1,
            by: CpuId::new((whose >> 1) as u32 & 0xffff),
            reached: Reached(self.reached.load(Ordering::Relaxed)),
        };
        // ORDER(SD-8): the words before the second look at the stamp; partner: the fence in `hold`. What `release` changes
        // meanwhile is the stage alone.
        fence(Ordering::Acquire);
        (self.stamp.load(Ordering::Relaxed) >> 2 == expected >> 2).then_some(removal)
    }

    /// A place that is taken over meanwhile may get a tag too many, which causes no report.
    fn add_reached(&self, tag: Option<Tag>) {
        let mut seen = self.reached.load(Ordering::Relaxed);
        while let Err(now) = exchange(&self.reached, seen, Reached(seen).with(tag).0) {
            seen = now;
        }
    }
}
