//! Memory that the embedder lends to allocators of global tags, and why they may refuse it.

use crate::sync::{Word, const_fn};
use crate::types::Tag;
use core::fmt;
use core::sync::atomic::Ordering;

/// A word of an allocator's storage: changed under the allocator's lock, or used by one CPU.
#[derive(Debug)]
#[repr(transparent)]
pub struct TagWord(Word);

impl TagWord {
    const_fn! {
        /// Makes an empty word.
        pub fn new() -> Self {
            Self::named("tag_word", 0)
        }
    }

    const_fn! {
        /// Makes a word that drawings call `name`.
        pub(crate) fn named(name: &'static str, value: u64) -> Self {
            Self(Word::new(name, value))
        }
    }

    #[inline]
    pub(crate) fn load(&self) -> u64 {
        // ORDER: relaxed; read under the lock, or only this CPU uses the word.
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn store(&self, value: u64) {
        // ORDER: relaxed; written under the lock, or only this CPU uses the word.
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Default for TagWord {
    fn default() -> Self {
        Self::new()
    }
}

/// A CPU's part of the memory of an allocator with generations.
#[derive(Debug)]
#[repr(align(128))]
pub struct CpuTags {
    /// Tag and generation under which this CPU runs; 0 from a rollover until this CPU has taken the lock; [`IDLE`]
    /// where it has nothing loaded.
    pub(crate) active: Word,
    /// Tag and generation that this CPU ran under at the latest rollover, and ...
    pub(crate) reserved: TagWord,
    /// ... how often generations had wrapped then.
    pub(crate) reserved_wraps: TagWord,
    /// Number of the rollover for which this CPU has flushed last.
    pub(crate) flushed: TagWord,
}

/// Not 0, and no tag.
pub(crate) const IDLE: u64 = 1 << 16;

impl CpuTags {
    const_fn! {
        /// Makes the memory of a CPU that has run nothing yet.
        pub fn new() -> Self {
            Self {
                active: Word::new("active", 0),
                reserved: TagWord::named("reserved", 0),
                reserved_wraps: TagWord::named("reserved_wraps", 0),
                flushed: TagWord::named("flushed", 0),
            }
        }
    }
}

impl Default for CpuTags {
    fn default() -> Self {
        Self::new()
    }
}

/// The memory that the embedder lends an allocator with generations. All of it must be new, and lent to no other
/// allocator.
#[derive(Clone, Copy, Debug)]
pub struct TagStorage<'a> {
    /// One bit for each tag: the tags given out in this generation.
    pub taken: &'a [TagWord],
    /// One bit for each tag: the pinned ones. Empty if no tag is ever pinned.
    pub pinned: &'a [TagWord],
    /// One for each CPU.
    pub cpus: &'a [CpuTags],
    /// For [`GlobalAsids`](crate::tags::GlobalAsids) that rest on IPIs, one word for each tag of each CPU, one CPU
    /// after the other; otherwise empty. A kernel that finds this too large uses fewer tags than the hardware has.
    pub caught: &'a [TagWord],
}

/// Words of a bitmap of `tags` tags.
///
/// # Examples
/// ```
/// use shootdown::tags::tag_words;
///
/// assert_eq!((tag_words(64), tag_words(65_536)), (1, 1024));
/// ```
pub const fn tag_words(tags: u32) -> usize {
    tags.div_ceil(64) as usize
}

/// Why an allocator of tags could not be made, or could not pin or share a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagsError {
    /// This many tags (first), counting 0, are too few for this many CPUs (second): there must be two more than CPUs.
    TooFew(u32, u32),
    /// More tags than a [`Tag`] can name.
    TooMany(u32),
    /// A bitmap has this many words (first) and needs this many (second).
    BitmapTooSmall(usize, usize),
    /// [`TagStorage::caught`] has this many words (first) and needs this many (second).
    CaughtTooSmall(usize, usize),
    /// There are more CPUs (first) than a space has room for (second).
    TooManyCpus(u32, u32),
    /// The first global tag is one of the tags that each CPU hands out by itself (the second number says how many).
    Overlaps(Tag, u32),
    /// No tag from this one on is below the number of tags (second).
    NoneFrom(Tag, u32),
    /// The greatest number of spaces is pinned already: this many.
    NoneToPin(u64),
    /// The storage has no bitmap of pinned tags.
    NoBitmap,
    /// All global tags, this many, are in use by live spaces.
    NoneToShare(u64),
    /// The space has a global tag, or is about to.
    AlreadyShared(Tag),
}

impl fmt::Display for TagsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TagsError::TooFew(tags, cpus) => {
                let needed = u64::from(*cpus) + 2;
                write!(
                    f,
                    "{tags} tags for {cpus} CPUs, {needed} are needed; run untagged or with per-CPU tags"
                )
            }
            TagsError::TooMany(tags) => write!(f, "{tags} tags, of which 65536 can be named; pass fewer"),
            TagsError::BitmapTooSmall(words, needed) => {
                write!(f, "a bitmap of {words} words where {needed} are needed; see `tag_words`")
            }
            TagsError::CaughtTooSmall(words, needed) => {
                write!(
                    f,
                    "{words} words for what CPUs have caught up with, {needed} are needed; pass fewer tags"
                )
            }
            TagsError::TooManyCpus(cpus, room) => {
                write!(f, "{cpus} CPUs, and spaces have room for {room}; raise the policy's constant")
            }
            TagsError::Overlaps(first, local) => {
                write!(f, "global tags from {} overlap the {local} per-CPU tags; begin above", first.number())
            }
            TagsError::NoneFrom(first, tags) => {
                write!(f, "no tag from {} on is below {tags}; begin lower or pass more", first.number())
            }
            TagsError::NoneToPin(pinned) => {
                write!(f, "{pinned} spaces are pinned, and CPUs need the other tags; unpin one")
            }
            TagsError::NoBitmap => f.write_str("no bitmap was lent for pinned tags; lend one"),
            TagsError::NoneToShare(tags) => {
                write!(f, "all {tags} global tags are in use; the space goes on with tags of its CPUs")
            }
            TagsError::AlreadyShared(tag) => write!(f, "the space has global tag {}", tag.number()),
        }
    }
}

impl core::error::Error for TagsError {}

impl TagStorage<'_> {
    /// Whether this suffices for `tags` tags, 0 counted.
    pub(crate) fn check(&self, tags: u32) -> Result<(), TagsError> {
        let cpus = u32::try_from(self.cpus.len()).unwrap_or(u32::MAX);
        if u64::from(tags) < u64::from(cpus) + 2 {
            return Err(TagsError::TooFew(tags, cpus));
        }
        check_bitmaps(tags, self.taken, self.pinned)
    }
}

/// Whether bitmaps have room for `tags` tags; the second may be empty.
pub(crate) fn check_bitmaps(tags: u32, taken: &[TagWord], other: &[TagWord]) -> Result<(), TagsError> {
    if tags > MOST_TAGS {
        return Err(TagsError::TooMany(tags));
    }
    let needed = tag_words(tags);
    if taken.len() < needed {
        return Err(TagsError::BitmapTooSmall(taken.len(), needed));
    }
    if !other.is_empty() && other.len() < needed {
        return Err(TagsError::BitmapTooSmall(other.len(), needed));
    }
    Ok(())
}

/// As many tags as 16 bits name.
const MOST_TAGS: u32 = 1 << 16;

/// Sets the bit of `tag`.
pub(crate) fn insert(bitmap: &[TagWord], tag: u64) {
    let word = &bitmap[tag as usize / 64];
    word.store(word.load() | 1 << (tag % 64));
}

/// Clears the bit of `tag`.
pub(crate) fn remove(bitmap: &[TagWord], tag: u64) {
    let word = &bitmap[tag as usize / 64];
    word.store(word.load() & !(1 << (tag % 64)));
}

/// First tag from `from` on, and below `end`, whose bit is clear.
pub(crate) fn first_free(bitmap: &[TagWord], from: u64, end: u64) -> Option<u64> {
    let mut tag = from;
    while tag < end {
        let rest = bitmap[tag as usize / 64].load() >> (tag % 64);
        let skip = u64::from(rest.trailing_ones());
        // Bits shifted in from above look clear: whether the word had any left is the question.
        if skip < 64 - tag % 64 {
            return Some(tag + skip).filter(|&found| found < end);
        }
        tag += 64 - tag % 64;
    }
    None
}
