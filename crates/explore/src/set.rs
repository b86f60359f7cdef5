//! The set of states that one worker owns: a few ids and a parent each, in chunks that never move.

use crate::hash;

/// States per chunk.
const CHUNK: usize = 1 << 14;

/// A set of keys of one width. Beside each key it keeps the state that first led to it.
#[derive(Debug)]
pub(crate) struct States {
    width: usize,
    /// Keys, each followed by its parent.
    chunks: Vec<Box<[u32]>>,
    count: u32,
    /// State number plus one; 0 is free. The length is a power of two.
    slots: Vec<u32>,
}

impl States {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, chunks: Vec::new(), count: 0, slots: vec![0; 1 << 10] }
    }

    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    #[inline]
    pub(crate) fn key(&self, index: u32) -> &[u32] {
        let entry = self.entry(index);
        &entry[..self.width]
    }

    pub(crate) fn parent(&self, index: u32) -> u32 {
        self.entry(index)[self.width]
    }

    /// Number of the state, and whether it is new.
    #[inline]
    pub(crate) fn insert(&mut self, key: &[u32], hash: u64, parent: u32) -> (u32, bool) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.slots[slot] {
                0 => break,
                used if self.key(used - 1) == key => return (used - 1, false),
                _ => slot = (slot + 1) & mask,
            }
        }
        let index = self.count;
        self.slots[slot] = index + 1;
        self.push(key, parent);
        if self.count as usize * 4 > self.slots.len() * 3 {
            self.grow();
        }
        (index, true)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * 4 + self.chunks.len() * CHUNK * (self.width + 1) * 4
    }

    #[inline]
    fn entry(&self, index: u32) -> &[u32] {
        let stride = self.width + 1;
        let start = index as usize % CHUNK * stride;
        &self.chunks[index as usize / CHUNK][start..start + stride]
    }

    fn push(&mut self, key: &[u32], parent: u32) {
        let stride = self.width + 1;
        let place = self.count as usize % CHUNK;
        if place == 0 {
            self.chunks.push(vec![0; CHUNK * stride].into_boxed_slice());
        }
        let chunk = &mut self.chunks[self.count as usize / CHUNK];
        chunk[place * stride..][..self.width].copy_from_slice(key);
        chunk[place * stride + self.width] = parent;
        self.count += 1;
    }

    fn grow(&mut self) {
        let mut slots = vec![0; self.slots.len() * 2];
        let mask = slots.len() - 1;
        for index in 0..self.count {
            let mut slot = hash::of_ids(self.key(index)) as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = index + 1;
        }
        self.slots = slots;
    }
}
