//! 64-bit values as 16-bit ids: small ones are their own id, others sit in a side table.

use crate::machine::hash::Map;

const SIDE: u16 = 0x8000;

/// Values met so far that are too large to be their own id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    side: Vec<u64>,
    ids: Map<u64, u16>,
}

impl Values {
    /// The value behind an id.
    #[inline]
    pub(crate) fn decode(&self, id: u16) -> u64 {
        if id < SIDE { u64::from(id) } else { self.side[usize::from(id - SIDE)] }
    }

    /// The id of a value, if it has one.
    #[inline]
    pub(crate) fn find(&self, value: u64) -> Option<u16> {
        if value < u64::from(SIDE) { Some(value as u16) } else { self.ids.get(&value).copied() }
    }

    /// The id of a value, given one if it has none; `None` if ids have run out.
    pub(crate) fn encode(&mut self, value: u64) -> Option<u16> {
        if let Some(id) = self.find(value) {
            return Some(id);
        }
        if self.side.len() >= usize::from(SIDE) {
            return None;
        }
        let id = SIDE + self.side.len() as u16;
        self.side.push(value);
        self.ids.insert(value, id);
        Some(id)
    }

    /// Brings a copy up to date.
    pub(crate) fn follow(&mut self, authority: &Self) {
        for &value in &authority.side[self.side.len()..] {
            let id = SIDE + self.side.len() as u16;
            self.side.push(value);
            self.ids.insert(value, id);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.side.capacity() * 8 + self.ids.allocation_size()
    }
}
