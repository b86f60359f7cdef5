//! Tables that give each distinct part of a state a 32-bit id.
//!
//! A few thousand parts make up millions of states. One table of each kind is the authority, behind a lock; each
//! worker keeps a copy that is a prefix of it, so that what it has seen before takes no lock.

use crate::hash::{self, Map};
use core::hash::Hash;

/// Records of one length.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    length: usize,
    data: Vec<u16>,
    count: u32,
    /// Record number plus one; 0 is free. The length is a power of two.
    slots: Vec<u32>,
}

impl Records {
    pub(crate) fn new(length: usize) -> Self {
        Self { length, data: Vec::new(), count: 0, slots: vec![0; 64] }
    }

    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    #[inline]
    pub(crate) fn record(&self, id: u32) -> &[u16] {
        let start = id as usize * self.length;
        &self.data[start..start + self.length]
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
        self.data.extend_from_slice(record);
        self.count += 1;
        self.slots[slot] = id + 1;
        if self.count as usize * 2 > self.slots.len() {
            self.grow();
        }
        id
    }

    /// Brings a copy up to date.
    pub(crate) fn follow(&mut self, authority: &Self) {
        for id in self.count..authority.count {
            let record = authority.record(id);
            self.intern(record, hash::of_record(record));
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.data.capacity() * 2 + self.slots.capacity() * 4
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

/// Values of the device's state types.
#[derive(Clone, Debug)]
pub(crate) struct Typed<T> {
    pub(crate) all: Vec<T>,
    ids: Map<T, u32>,
}

impl<T: Copy + Eq + Hash> Typed<T> {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), ids: Map::default() }
    }

    #[inline]
    pub(crate) fn find(&self, value: &T) -> Option<u32> {
        self.ids.get(value).copied()
    }

    pub(crate) fn intern(&mut self, value: T) -> u32 {
        let next = self.all.len() as u32;
        let id = *self.ids.entry(value).or_insert(next);
        if id == next {
            self.all.push(value);
        }
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
