//! The set of states that one worker owns: a few ids and a parent each, in chunks that never move.

use crate::machine::hash;
use hashbrown::HashTable;

/// States per chunk.
const CHUNK: usize = 1 << 14;

/// A set of keys of one width. Beside each key it keeps the state that first led to it.
#[derive(Debug)]
pub(crate) struct States {
    entries: Entries,
    /// Numbers of the states, by the hash of their keys.
    index: HashTable<u32>,
}

/// Keys, each followed by its parent.
#[derive(Debug)]
struct Entries {
    width: usize,
    chunks: Vec<Box<[u32]>>,
    count: u32,
}

impl States {
    pub(crate) fn new(width: usize) -> Self {
        Self { entries: Entries { width, chunks: Vec::new(), count: 0 }, index: HashTable::new() }
    }

    pub(crate) fn len(&self) -> u32 {
        self.entries.count
    }

    #[inline]
    pub(crate) fn key(&self, index: u32) -> &[u32] {
        self.entries.key(index)
    }

    pub(crate) fn parent(&self, index: u32) -> u32 {
        self.entries.entry(index)[self.entries.width]
    }

    /// Number of the state, and whether it is new.
    #[inline]
    pub(crate) fn insert(&mut self, key: &[u32], hash: u64, parent: u32) -> (u32, bool) {
        let entries = &mut self.entries;
        if let Some(&index) = self.index.find(hash, |&index| same(entries.key(index), key)) {
            return (index, false);
        }
        let index = entries.push(key, parent);
        self.index.insert_unique(hash, index, |&index| hash::of_ids(entries.key(index)));
        (index, true)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.index.allocation_size() + self.entries.chunks.len() * CHUNK * (self.entries.width + 1) * 4
    }
}

impl Entries {
    #[inline]
    fn key(&self, index: u32) -> &[u32] {
        &self.entry(index)[..self.width]
    }

    #[inline]
    fn entry(&self, index: u32) -> &[u32] {
        let stride = self.width + 1;
        let start = index as usize % CHUNK * stride;
        &self.chunks[index as usize / CHUNK][start..start + stride]
    }

    fn push(&mut self, key: &[u32], parent: u32) -> u32 {
        let stride = self.width + 1;
        let start = self.count as usize % CHUNK * stride;
        if start == 0 {
            self.chunks.push(vec![0; CHUNK * stride].into_boxed_slice());
        }
        let chunk = &mut self.chunks[self.count as usize / CHUNK];
        chunk[start..start + self.width].copy_from_slice(key);
        chunk[start + self.width] = parent;
        self.count += 1;
        self.count - 1
    }
}

/// Keys are short: comparing in place beats a call.
#[inline]
fn same(one: &[u32], other: &[u32]) -> bool {
    one.iter().zip(other).all(|(a, b)| a == b)
}
