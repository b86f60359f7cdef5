//! A fast hash for keys that nobody chooses maliciously.

use core::hash::{BuildHasher, Hasher};

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Adds a word to a running hash.
#[inline]
pub(crate) fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR)
}

/// Spreads a running hash over all bits.
#[inline]
pub(crate) fn finish(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 32)).wrapping_mul(FACTOR);
    hash ^ (hash >> 29)
}

/// Hash of a record whose length is a multiple of four.
#[inline]
pub(crate) fn of_record(record: &[u16]) -> u64 {
    let mut hash = 0;
    for chunk in record.chunks_exact(4) {
        let word = u64::from(chunk[0])
            | u64::from(chunk[1]) << 16
            | u64::from(chunk[2]) << 32
            | u64::from(chunk[3]) << 48;
        hash = mix(hash, word);
    }
    finish(hash)
}

/// Hash of a few numbers.
#[inline]
pub(crate) fn of_ids(ids: &[u32]) -> u64 {
    finish(ids.iter().fold(0, |hash, &id| mix(hash, u64::from(id))))
}

/// Builds [`Mixer`]s.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mix;

impl BuildHasher for Mix {
    type Hasher = Mixer;
    fn build_hasher(&self) -> Mixer {
        Mixer(FACTOR)
    }
}

/// The hash as a [`Hasher`].
pub(crate) struct Mixer(u64);

impl Hasher for Mixer {
    #[inline]
    fn finish(&self) -> u64 {
        finish(self.0)
    }
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0, u64::from_le_bytes(word));
        }
        self.0 = mix(self.0, bytes.len() as u64);
    }
    #[inline]
    fn write_u8(&mut self, word: u8) {
        self.0 = mix(self.0, u64::from(word));
    }
    #[inline]
    fn write_u16(&mut self, word: u16) {
        self.0 = mix(self.0, u64::from(word));
    }
    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.0 = mix(self.0, u64::from(word));
    }
    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0, word);
    }
    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.0 = mix(self.0, word as u64);
    }
}

/// A map with this hash.
pub(crate) type Map<K, V> = hashbrown::HashMap<K, V, Mix>;
