//! Sets of cells that a frame may still read and write.

/// Bits of a set: cells from below, interrupt lines from above.
pub(crate) const BITS: usize = 256;
const WORDS: usize = BITS / 64;

/// A set of cells and of interrupt lines that may be raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits([u64; WORDS]);

impl Bits {
    #[inline]
    pub(crate) fn add(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }
    #[inline]
    pub(crate) fn has(&self, bit: usize) -> bool {
        self.0[bit / 64] >> (bit % 64) & 1 != 0
    }
    /// Adds all of `other`.
    #[inline]
    pub(crate) fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }
    #[inline]
    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| b & !a == 0)
    }
    /// The highest 64 bits, where interrupt lines are.
    #[inline]
    pub(crate) fn top(&self) -> u64 {
        self.0[WORDS - 1]
    }
}

/// Bit of the `index`-th interrupt line that was ever raised.
pub(crate) fn line_bit(index: usize) -> usize {
    BITS - 1 - index
}

/// Bit of sequentially consistent fences, which have an order among them.
pub(crate) const FENCES: usize = BITS - 17;

/// Index of the first interrupt line in the top 64 bits of a set.
#[inline]
pub(crate) fn line_index(top: u64) -> usize {
    63 - top.trailing_zeros() as usize
}

/// What a frame may still read and write, interrupts that it may raise among the writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub(crate) reads: Bits,
    pub(crate) writes: Bits,
    /// Objects whose memory it may give back.
    pub(crate) retires: u64,
    /// What of the device's it may give away, as [`crate::Device::used`] numbers it.
    pub(crate) gives: u64,
}

impl Footprint {
    #[inline]
    pub(crate) fn join(&mut self, other: &Self) {
        self.reads.join(&other.reads);
        self.writes.join(&other.writes);
        self.retires |= other.retires;
        self.gives |= other.gives;
    }
    /// Whether `cell` may be read or written.
    #[inline]
    pub(crate) fn touches(&self, cell: u16) -> bool {
        self.reads.has(cell.into()) || self.writes.has(cell.into())
    }
    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.reads.contains(&other.reads)
            && self.writes.contains(&other.writes)
            && other.retires & !self.retires == 0
            && other.gives & !self.gives == 0
    }
}
