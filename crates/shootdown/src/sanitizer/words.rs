//! What the sanitizer does with shared words besides loading and storing them.

use crate::sync::Word;
use core::sync::atomic::Ordering;

/// Adds one and returns the sum.
#[inline]
pub(super) fn count(word: &Word) -> u64 {
    word.fetch_add(1, Ordering::Release) + 1
}

/// Stores `new` if the word holds `old`.
///
/// # Errors
/// The value found, where it was not `old`.
#[inline]
pub(super) fn exchange(word: &Word, old: u64, new: u64) -> Result<u64, u64> {
    word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed)
}

/// Replaces the word's value by `value` if that is larger.
pub(super) fn raise(word: &Word, value: u64) {
    let mut seen = word.load(Ordering::Relaxed);
    while seen < value {
        match exchange(word, seen, value) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}
