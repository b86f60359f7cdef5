//! Sets of CPUs that only their members change (SD-2, SD-3).

use crate::fault::Site;
use crate::sync::{Word, const_fn};
use crate::types::CpuId;
use core::sync::atomic::Ordering;

/// Storage of a CPU mask. Bit `c % 64` of word `c / 64` is CPU `c`.
///
/// # Safety
/// Implementers must return the same words on every call, for as long as the value lives: the engine's proof that a
/// CPU with a space loaded is in its mask rests on it.
pub unsafe trait MaskStore: Sync {
    /// The words.
    fn words(&self) -> &[MaskWord];
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

    /// The cell, for a checker's judge to watch.
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

/// A mask of up to `64 * WORDS` CPUs, stored inline.
#[derive(Debug)]
pub struct CpuMask<const WORDS: usize>([MaskWord; WORDS]);

impl<const WORDS: usize> CpuMask<WORDS> {
    /// Makes an empty mask.
    #[cfg(not(shootdown_loom))]
    pub const fn new() -> Self {
        Self([const { MaskWord::new() }; WORDS])
    }

    /// Makes an empty mask.
    #[cfg(shootdown_loom)]
    pub fn new() -> Self {
        Self(core::array::from_fn(|_| MaskWord::new()))
    }
}

impl<const WORDS: usize> Default for CpuMask<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the words are a field of the value and are never replaced.
unsafe impl<const WORDS: usize> MaskStore for CpuMask<WORDS> {
    #[inline]
    fn words(&self) -> &[MaskWord] {
        &self.0
    }
}

/// A mask whose words the embedder lends, for a number of CPUs known only at boot.
#[derive(Clone, Copy, Debug)]
pub struct BorrowedMask<'a>(&'a [MaskWord]);

impl<'a> BorrowedMask<'a> {
    /// Uses `words`, which must be empty and lent to nobody else.
    pub const fn new(words: &'a [MaskWord]) -> Self {
        Self(words)
    }
}

// SAFETY: the slice is fixed at construction.
unsafe impl MaskStore for BorrowedMask<'_> {
    #[inline]
    fn words(&self) -> &[MaskWord] {
        self.0
    }
}

/// The operations on a mask, for the engine alone: there is none that touches another CPU's bit.
pub(crate) struct Members<'a>(&'a [MaskWord]);

impl<'a> Members<'a> {
    #[inline]
    pub(crate) fn of(store: &'a impl MaskStore) -> Self {
        Self(store.words())
    }

    /// Number of CPUs that fit.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.0.len() * 64
    }

    /// Whether `cpu` is a member, as far as the caller can see.
    #[inline]
    pub(crate) fn contains(&self, cpu: CpuId) -> bool {
        // ORDER(SD-2): relaxed, since only `cpu` itself asks about its own bit, which nobody else writes.
        self.word(cpu).load(Ordering::Relaxed) & bit(cpu) != 0
    }

    /// Whether `cpu` is a member; seen gone means that its last use is over.
    #[inline]
    pub(crate) fn holds(&self, cpu: CpuId) -> bool {
        // ORDER(SD-8): as in `for_each_batch`; partner: `remove_self`, called by `offline_cpu`.
        self.word(cpu).load(Site::OnlineSeen.acquire()) & bit(cpu) != 0
    }

    /// Adds the calling CPU, which is `me` (SD-2). A full fence must follow before it reads a generation.
    #[inline]
    pub(crate) fn add_self(&self, me: CpuId) {
        // ORDER(SD-2): relaxed; the switch fence that follows orders it before the generation is read.
        self.word(me).fetch_or(bit(me), Ordering::Relaxed);
    }

    /// Removes the calling CPU, which is `me`, after its hardware stopped using the root (SD-3).
    #[inline]
    pub(crate) fn remove_self(&self, me: CpuId) {
        // ORDER(SD-3): everything this CPU did with the space comes before the bit goes; partners: `for_each_batch`,
        // `holds`.
        self.word(me).fetch_and(!bit(me), Site::MaskRemove.release());
    }

    /// Removes a CPU that is not the caller: what SD-3 forbids, for the check that it must fail.
    pub(crate) fn remove_other(&self, cpu: CpuId) {
        self.word(cpu).fetch_and(!bit(cpu), Ordering::Relaxed);
    }

    /// Calls `visit` with each member other than `me`.
    #[inline]
    pub(crate) fn for_each_other(&self, me: Option<CpuId>, mut visit: impl FnMut(CpuId)) {
        self.for_each_batch(me, |batch| batch.for_each(&mut visit));
    }

    /// Calls `visit` with the members other than `me`, up to 64 at a time, as they are when it comes to them.
    #[inline]
    pub(crate) fn for_each_batch(&self, me: Option<CpuId>, mut visit: impl FnMut(Batch)) {
        let mut next = self.others(me, 0);
        while let Some(batch) = next {
            visit(batch);
            next = self.others(me, batch.word + 1);
        }
    }

    /// Returns the first members other than `me` in the words from `first` on.
    #[inline]
    pub(crate) fn others(&self, me: Option<CpuId>, first: u32) -> Option<Batch> {
        for word in first..self.0.len() as u32 {
            // ORDER(SD-8): a bit seen gone means that its CPU's last use of the space is over; partner: `remove_self`.
            let mut bits = self.0[word as usize].0.load(Site::MaskSeen.acquire());
            if let Some(me) = me.filter(|me| me.number() / 64 == word) {
                bits &= !bit(me);
            }
            if bits != 0 {
                return Some(Batch { word, bits });
            }
        }
        None
    }

    #[inline]
    fn word(&self, cpu: CpuId) -> &'a Word {
        &self.0[cpu.index() / 64].0
    }
}

/// Members found in one word.
#[derive(Clone, Copy)]
pub(crate) struct Batch {
    pub(crate) word: u32,
    bits: u64,
}

impl Batch {
    /// The CPU of the lowest bit.
    #[inline]
    pub(crate) fn first(self) -> CpuId {
        CpuId::new(self.word * 64)
    }

    /// One bit a member.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.bits
    }
}

impl Iterator for Batch {
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

#[cfg(all(test, not(any(shootdown_explore, shootdown_loom, shootdown_shuttle, shootdown_counted))))]
mod properties;
