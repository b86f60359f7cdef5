//! Tables that give each distinct part of a state a 32-bit id.
//!
//! A few thousand parts make up millions of states. One table of each kind is the authority, behind a lock; each
//! worker keeps a copy that is a prefix of it, so that what it has seen before takes no lock. Copies share full chunks.

use crate::machine::hash;
use core::hash::{BuildHasher, Hash};
use hashbrown::HashTable;
use std::sync::Arc;

/// Records per chunk.
const CHUNK: usize = 256;

/// Records of one length.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    length: usize,
    /// Full chunks, which never change again.
    full: Vec<Arc<[u16]>>,
    /// The records after them.
    last: Vec<u16>,
    count: u32,
    /// Record number plus one; 0 is free. The length is a power of two.
    slots: Vec<u32>,
}

impl Records {
    pub(crate) fn new(length: usize) -> Self {
        Self { length, full: Vec::new(), last: Vec::new(), count: 0, slots: vec![0; 64] }
    }

    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    #[inline]
    pub(crate) fn record(&self, id: u32) -> &[u16] {
        let start = id as usize % CHUNK * self.length;
        let chunk = self.full.get(id as usize / CHUNK).map_or(&*self.last, |chunk| chunk);
        &chunk[start..start + self.length]
    }

    /// The id of a record, or the slot where it belongs.
    #[inline]
    pub(crate) fn find(&self, record: &[u16], hash: u64) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                used if self.record(used - 1) == record => return Ok(used - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// The id of a record, given one if it is new.
    pub(crate) fn intern(&mut self, record: &[u16], hash: u64) -> u32 {
        let slot = match self.find(record, hash) {
            Ok(id) => return id,
            Err(slot) => slot,
        };
        let id = self.count;
        self.last.extend_from_slice(record);
        if self.last.len() == CHUNK * self.length {
            self.full.push(core::mem::take(&mut self.last).into());
        }
        self.place(slot);
        id
    }

    /// Counts a record that has been added, and files it under `slot`.
    fn place(&mut self, slot: usize) {
        self.count += 1;
        self.slots[slot] = self.count;
        if self.count as usize * 2 > self.slots.len() {
            self.grow();
        }
    }

    /// Brings a copy up to date.
    pub(crate) fn follow(&mut self, authority: &Self) {
        if authority.full.len() > self.full.len() {
            self.full.extend_from_slice(&authority.full[self.full.len()..]);
            self.last.clear();
        }
        self.last.extend_from_slice(&authority.last[self.last.len()..]);
        for id in self.count..authority.count {
            let record = authority.record(id);
            if let Err(slot) = self.find(record, hash::of_record(record)) {
                self.place(slot);
            }
        }
    }

    /// Bytes that are not shared with the authority; the authority's own, if `own`.
    pub(crate) fn bytes(&self, own: bool) -> usize {
        let full = if own { self.full.len() * CHUNK * self.length } else { 0 };
        (full + self.last.capacity()) * 2
            + self.full.capacity() * size_of::<Arc<[u16]>>()
            + self.slots.capacity() * 4
    }

    fn grow(&mut self) {
        let mut slots = vec![0; self.slots.len() * 2];
        let mask = slots.len() - 1;
        for id in 0..self.count {
            let mut slot = hash::of_record(self.record(id)) as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = id + 1;
        }
        self.slots = slots;
    }
}

/// Records of any length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    all: Vec<Arc<[u16]>>,
    ids: HashTable<u32>,
}

impl Texts {
    pub(crate) fn len(&self) -> u32 {
        self.all.len() as u32
    }

    #[inline]
    pub(crate) fn record(&self, id: u32) -> &[u16] {
        &self.all[id as usize]
    }

    #[inline]
    pub(crate) fn find(&self, record: &[u16]) -> Option<u32> {
        self.ids.find(hash::Mix.hash_one(record), |&id| *self.all[id as usize] == *record).copied()
    }

    pub(crate) fn intern(&mut self, record: &[u16]) -> u32 {
        self.find(record).unwrap_or_else(|| self.add(record.into()))
    }

    pub(crate) fn follow(&mut self, authority: &Self) {
        for record in &authority.all[self.all.len()..] {
            self.add(record.clone());
        }
    }

    /// Bytes of the table, and of the records if they are its own.
    pub(crate) fn bytes(&self, own: bool) -> usize {
        let records: usize = if own { self.all.iter().map(|record| record.len() * 2 + 16).sum() } else { 0 };
        records + self.all.capacity() * size_of::<Arc<[u16]>>() + self.ids.allocation_size()
    }

    fn add(&mut self, record: Arc<[u16]>) -> u32 {
        let (id, hash) = (self.len(), hash::Mix.hash_one(&*record));
        self.all.push(record);
        let all = &self.all;
        self.ids.insert_unique(hash, id, |&id| hash::Mix.hash_one(&*all[id as usize]));
        id
    }
}

/// Values of the device's state types.
#[derive(Clone, Debug)]
pub(crate) struct Typed<T> {
    pub(crate) all: Vec<T>,
    ids: HashTable<u32>,
}

impl<T: Copy + Eq + Hash> Typed<T> {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), ids: HashTable::new() }
    }

    #[inline]
    pub(crate) fn find(&self, value: &T) -> Option<u32> {
        let hash = hash::Mix.hash_one(value);
        self.ids.find(hash, |&id| self.all[id as usize] == *value).copied()
    }

    pub(crate) fn intern(&mut self, value: T) -> u32 {
        if let Some(id) = self.find(&value) {
            return id;
        }
        let id = self.all.len() as u32;
        self.all.push(value);
        let all = &self.all;
        self.ids.insert_unique(hash::Mix.hash_one(value), id, |&id| hash::Mix.hash_one(all[id as usize]));
        id
    }

    pub(crate) fn follow(&mut self, authority: &Self) {
        for &value in &authority.all[self.all.len()..] {
            self.intern(value);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.all.capacity() * size_of::<T>() + self.ids.allocation_size()
    }
}
