//! CPU masks that only their members change (SD-2, SD-3; Linux: `mm_cpumask`).
//!
//! # Summaries
//!
//! A flush that looks for one CPU among 4,096 would read 64 words, twice. So a mask of more than a few words has a
//! summary: a word with a mark for each word of members (for each 2, 4 or more of them where there are more than 64). A
//! flush reads the summary, and of the words those that are marked. A mark is set by the first CPU that joins under it,
//! and stays.
//!
//! ```text
//!   joining CPU                                 initiator of a flush
//!   reads the mark, and sets it if it is not    page tables change; generation += 1
//!   sets its bit                                full fence
//!   full fence                                  reads the summary
//!   reads the generation                        reads the words that are marked
//! ```
//! So the joining CPU sees the generation, or the initiator sees the mark and the bit, or both: the fences are those
//! that order the bit (`this_cpu.rs`, `load`; `engine.rs`, `online_cpu`). A CPU that finds the mark there does not
//! write it, but it reads it before its fence, and a load behind the initiator's fence returns that value or a later
//! one, never an earlier one. Explored by `wide-switch-in`, `wide-joiners`, `wide-hotplug` (and loom,
//! `switch_into_another_word_vs_flush`, `join_under_a_mark_vs_flush`).
//!
//! "A later one" is why no mark ever goes: a CPU that joins may have seen it, and not yet set its bit, when another CPU
//! finds the word empty and clears the mark (`wide-leaver` fails then), and one that leaves would touch the space after
//! its bit is gone (`wide-final-drop`). A space that has been everywhere is therefore read word by word, as if it had
//! no summary; a new one begins without marks.

use crate::fault::{Rule, Site, without};
use crate::sync::{Word, const_fn};
use crate::types::CpuId;
use core::sync::atomic::Ordering;

pub use crate::platform::OnLeave;

/// Storage of a CPU mask. Bit `c % 64` of word `c / 64` is CPU `c`.
///
/// # Safety
/// Implementers promise, for as long as the value lives:
/// 1. every call returns the same words and the same summary: the engine's proof that a CPU with a space loaded is in
///    its mask rests on it;
/// 2. no other value returns any of them, and all were new when this value was made.
pub unsafe trait MaskStore: Sync {
    /// The words.
    fn words(&self) -> &[MaskWord];

    /// The summary of the words. It spares flushes the words in which no CPU has ever been; without a summary they read
    /// all.
    #[inline]
    fn summary(&self) -> Option<&MaskSummary> {
        None
    }
}

/// A word of a [`MaskStore`].
#[derive(Debug)]
#[repr(transparent)]
pub struct MaskWord(Word);

impl MaskWord {
    const_fn! {
        /// Makes a word without members.
        pub fn new() -> Self {
            Self(Word::new("mask", 0))
        }
    }

    /// The cell, for a checker's oracle to watch.
    #[cfg(shootdown_explore)]
    pub fn cell(&self) -> &Word {
        &self.0
    }
}

impl Default for MaskWord {
    fn default() -> Self {
        Self::new()
    }
}

/// Which words of a [`MaskStore`] may have members.
#[derive(Debug)]
#[repr(transparent)]
pub struct MaskSummary(Word);

impl MaskSummary {
    const_fn! {
        /// Makes the summary of words without members.
        pub fn new() -> Self {
            Self(Word::new("mask_summary", 0))
        }
    }
}

impl Default for MaskSummary {
    fn default() -> Self {
        Self::new()
    }
}

/// Most words that are read one by one: a summary would cost what it spares.
const READ_ALL: usize = 2;

/// Number of mask words for so many CPUs.
///
/// # Examples
/// ```
/// use shootdown::mask::mask_words;
///
/// assert_eq!((mask_words(1), mask_words(64), mask_words(65)), (1, 1, 2));
/// ```
pub const fn mask_words(cpus: u32) -> usize {
    cpus.div_ceil(64) as usize
}

/// A CPU mask of up to `64 * WORDS` CPUs, stored inline (Linux: `cpumask_t`).
#[derive(Debug)]
pub struct CpuMask<const WORDS: usize> {
    words: [MaskWord; WORDS],
    summary: MaskSummary,
}

impl<const WORDS: usize> CpuMask<WORDS> {
    /// Makes an empty mask.
    #[cfg(not(shootdown_loom))]
    pub const fn new() -> Self {
        Self { words: [const { MaskWord::new() }; WORDS], summary: MaskSummary::new() }
    }

    /// Makes an empty mask.
    #[cfg(shootdown_loom)]
    pub fn new() -> Self {
        Self { words: core::array::from_fn(|_| MaskWord::new()), summary: MaskSummary::new() }
    }
}

impl<const WORDS: usize> Default for CpuMask<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: 1. and 2. words and summary are fields of the value, made with it and never replaced.
unsafe impl<const WORDS: usize> MaskStore for CpuMask<WORDS> {
    #[inline]
    fn words(&self) -> &[MaskWord] {
        &self.words
    }

    #[inline]
    fn summary(&self) -> Option<&MaskSummary> {
        (WORDS > READ_ALL).then_some(&self.summary)
    }
}

/// A CPU mask whose words the embedder lends, for a number of CPUs known only at boot (Linux: `cpumask_var_t`):
/// [`mask_words`] says how many words.
///
/// The words are lent for as long as the mask lives: two masks never share words, so a mask cannot be copied.
///
/// # Examples
/// ```
/// use shootdown::mask::{BorrowedMask, MaskStore, MaskWord, mask_words};
///
/// let cpus = 200; // known at boot
/// let mut words: Vec<MaskWord> = (0..mask_words(cpus)).map(|_| MaskWord::new()).collect();
/// let mask = BorrowedMask::new(&mut words);
/// assert_eq!(mask.words().len() * 64, 256);
/// ```
#[derive(Debug)]
pub struct BorrowedMask<'a> {
    words: &'a [MaskWord],
    summary: MaskSummary,
}

impl<'a> BorrowedMask<'a> {
    const_fn! {
        /// Empties `words` and uses them. A space's mask needs as many as that of the engine; otherwise
        /// [`new_space`](crate::Shootdown::new_space) refuses it.
        pub fn new(words: &'a mut [MaskWord]) -> Self {
            let mut next = 0;
            while next < words.len() {
                words[next] = MaskWord::new();
                next += 1;
            }
            Self { words, summary: MaskSummary::new() }
        }
    }
}

// SAFETY: 1. the slice is fixed at construction, the summary a field; 2. the slice was borrowed exclusively and its words
// were replaced by new ones.
unsafe impl MaskStore for BorrowedMask<'_> {
    #[inline]
    fn words(&self) -> &[MaskWord] {
        self.words
    }

    #[inline]
    fn summary(&self) -> Option<&MaskSummary> {
        (self.words.len() > READ_ALL).then_some(&self.summary)
    }
}

/// The operations on a mask, for the engine alone. None of them touches another CPU's bit.
pub(crate) struct Members<'a, M: MaskStore>(&'a M);

impl<'a, M: MaskStore> Members<'a, M> {
    #[inline]
    pub(crate) fn of(store: &'a M) -> Self {
        Self(store)
    }

    #[inline]
    fn summary(&self) -> Option<&'a Word> {
        self.0.summary().map(|summary| &summary.0)
    }

    /// Number of CPUs that fit.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.0.words().len() * 64
    }

    /// Whether `cpu` is a member, as far as the caller can see.
    #[inline]
    pub(crate) fn contains(&self, cpu: CpuId) -> bool {
        // ORDER(SD-2): relaxed, since only this CPU writes its bit, and `cpu` asks about its own.
        self.word(cpu).load(Ordering::Relaxed) & bit(cpu) != 0
    }

    /// Whether `cpu` is a member. `false` means that its last use of the space is over.
    #[inline]
    pub(crate) fn holds(&self, cpu: CpuId) -> bool {
        // ORDER(SD-8): as in `others_between`; partner: `remove_self`. `offline_cpu` calls it.
        let word = self.0.words().get(cpu.index() / 64);
        word.is_some_and(|word| word.0.load(Site::OnlineSeen.acquire()) & bit(cpu) != 0)
    }

    /// Whether a CPU that switches in leaves its bit away, because rule SD-1 is removed. Where there is a summary it is
    /// the mark that is missing then.
    #[inline]
    pub(crate) fn leave_joiners_out(&self) -> bool {
        without(Rule::MaskCovers) && self.summary().is_none()
    }

    /// Adds the calling CPU, which is `me` (SD-2). A full fence must follow before it reads a generation.
    #[inline]
    pub(crate) fn add_self(&self, me: CpuId) {
        if let Some(summary) = self.summary().filter(|_| !without(Rule::MaskCovers)) {
            let mark = 1 << ((me.number() / 64) >> self.shift());
            // ORDER(SD-1): relaxed, read or written before the fence that follows; see the drawing above
            // (`switch_into_another_word_vs_flush`, `join_under_a_mark_vs_flush`). Almost always the mark is there, and
            // then its line stays shared.
            if summary.load(Ordering::Relaxed) & mark == 0 {
                summary.fetch_or(mark, Ordering::Relaxed);
            }
        }
        // ORDER(SD-2): relaxed; the switch fence that follows orders it before the generation is read
        // (`switch_in_vs_flush`).
        self.word(me).fetch_or(bit(me), Ordering::Relaxed);
    }

    /// Removes the calling CPU, which is `me`, after its hardware stopped using the root (SD-3).
    #[inline]
    pub(crate) fn remove_self(&self, me: CpuId) {
        // ORDER(SD-3): everything this CPU did with the space comes before the bit goes; partners: `others_between`,
        // `holds`.
        self.word(me).fetch_and(!bit(me), Site::MaskRemove.release());
    }

    /// Removes a CPU that is not the caller: what SD-3 forbids, for the check that it must fail.
    pub(crate) fn remove_other(&self, cpu: CpuId) {
        // ORDER: relaxed; it is wrong whatever its order (`switch-vs-flush`).
        self.word(cpu).fetch_and(!bit(cpu), Ordering::Relaxed);
    }

    /// Calls `visit` with each member other than `me`.
    #[inline]
    pub(crate) fn for_each_other(&self, me: Option<CpuId>, mut visit: impl FnMut(CpuId)) {
        self.for_each_batch(me, |batch| batch.for_each(&mut visit));
    }

    /// Calls `visit` with the members other than `me`, up to 64 at a time, as they are when it comes to them.
    #[inline]
    pub(crate) fn for_each_batch(&self, me: Option<CpuId>, mut visit: impl FnMut(CpuSet)) {
        let mut next = self.others_from(me, 0);
        while let Some(batch) = next {
            visit(batch);
            next = self.others_after(me, batch);
        }
    }

    /// The same set. Where the mask has one word, the compiler then sees that the set is of that word.
    #[inline]
    pub(crate) fn known(&self, batch: CpuSet) -> CpuSet {
        if self.0.words().len() == 1 { CpuSet { word: 0, ..batch } } else { batch }
    }

    /// Returns the first members other than `me` in the words behind that of `batch`.
    #[inline]
    pub(crate) fn others_after(&self, me: Option<CpuId>, batch: CpuSet) -> Option<CpuSet> {
        // As wide as this, the compiler sees that a mask of one word has nothing behind it.
        if batch.word as usize + 1 < self.0.words().len() {
            self.others_from(me, batch.word + 1)
        } else {
            None
        }
    }

    /// [`others`](Self::others) for callers that are not in a hurry: they share one copy of its code.
    #[inline(never)]
    pub(crate) fn others_from(&self, me: Option<CpuId>, first: u32) -> Option<CpuSet> {
        self.others(me, first)
    }

    /// Returns the first members other than `me` in the words from `first` on.
    #[inline]
    pub(crate) fn others(&self, me: Option<CpuId>, first: u32) -> Option<CpuSet> {
        match self.summary() {
            None => self.others_between(me, first, self.0.words().len() as u32),
            Some(summary) => self.others_marked(summary, me, first),
        }
    }

    #[inline]
    fn others_marked(&self, summary: &Word, me: Option<CpuId>, first: u32) -> Option<CpuSet> {
        let (shift, words) = (self.shift(), self.0.words().len() as u32);
        // ORDER(SD-4): relaxed; the caller's fence orders it, see the drawing above (`join_under_a_mark_vs_flush`). A mark
        // never goes, so nothing is read from its absence but that nobody has joined.
        let marks = summary.load(Ordering::Relaxed);
        let mut marks = marks & u64::MAX.checked_shl(first >> shift).unwrap_or(0);
        while marks != 0 {
            let start = marks.trailing_zeros() << shift;
            let found = self.others_between(me, first.max(start), words.min(start + (1 << shift)));
            if found.is_some() {
                return found;
            }
            marks &= marks - 1;
        }
        None
    }

    #[inline]
    fn others_between(&self, me: Option<CpuId>, first: u32, end: u32) -> Option<CpuSet> {
        for word in first..end {
            let cell = self.0.words().get(word as usize)?;
            // ORDER(SD-8): a bit seen gone means that its CPU's last use of the space is over; partner: `remove_self`.
            let mut bits = cell.0.load(Site::MaskSeen.acquire());
            if let Some(me) = me.filter(|me| me.number() / 64 == word) {
                bits &= !bit(me);
            }
            if bits != 0 {
                return Some(CpuSet { word, bits });
            }
        }
        None
    }

    /// Binary logarithm of the words under one mark.
    #[inline]
    fn shift(&self) -> u32 {
        match self.0.words().len() {
            0..=64 => 0,
            words => usize::BITS - ((words - 1) / 64).leading_zeros(),
        }
    }

    #[inline]
    fn word(&self, cpu: CpuId) -> &'a Word {
        &self.0.words()[cpu.index() / 64].0
    }
}

/// Up to 64 CPUs with consecutive numbers, of which the first is a multiple of 64: a word of a mask, an SBI hart mask,
/// a bank of Hyper-V's, four clusters of x2APIC, four target lists of a GICv3.
///
/// # Examples
/// ```
/// use shootdown::CpuId;
/// use shootdown::mask::CpuSet;
///
/// let set = CpuSet::of(CpuId::new(67));
/// assert_eq!((set.first(), set.bits()), (CpuId::new(64), 0b1000));
/// assert!(set.eq([CpuId::new(67)]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSet {
    pub(crate) word: u32,
    bits: u64,
}

impl CpuSet {
    /// Makes the set of one CPU.
    #[inline]
    pub const fn of(cpu: CpuId) -> Self {
        Self { word: cpu.number() / 64, bits: bit(cpu) }
    }

    /// The CPU of the lowest bit.
    #[inline]
    pub const fn first(self) -> CpuId {
        CpuId::new(self.word * 64)
    }

    /// One bit a member.
    #[inline]
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// Keeps those members for which `keep` returns `true`.
    #[inline]
    pub(crate) fn filtered(self, mut keep: impl FnMut(CpuId) -> bool) -> Self {
        let kept = self.filter(|cpu| keep(*cpu)).fold(0, |bits, cpu| bits | bit(cpu));
        Self { bits: kept, ..self }
    }
}

impl Iterator for CpuSet {
    type Item = CpuId;
    #[inline]
    fn next(&mut self) -> Option<CpuId> {
        if self.bits == 0 {
            return None;
        }
        let cpu = CpuId::new(self.word * 64 + self.bits.trailing_zeros());
        self.bits &= self.bits - 1;
        Some(cpu)
    }
}

#[inline]
const fn bit(cpu: CpuId) -> u64 {
    1 << (cpu.number() % 64)
}

#[cfg(all(test, not(any(shootdown_explore, shootdown_loom, shootdown_instrumented))))]
mod properties;
