//! What suspended code can still look at, as a fingerprint.
//!
//! Given an answer, suspended code goes on from its registers and its stack, from memory that never changes during an
//! exploration, and from blocks of the heap that it owns. While it is suspended its registers lie on its stack, so all but
//! the heap is in the bytes between the two ends that [`Image`] names. Two runs of one entry with the same bytes there do
//! the same from then on, whatever they have seen before, if neither owns a block of the heap: `machine/merge.rs` makes sure.
//!
//! Bytes that nothing will read again may differ between runs that go on alike. That costs a merge and nothing else.

use std::ops::Range;

/// What suspending takes of the stack at most, below the first variable of the function that does it. Without
/// optimisation it is some hundred bytes.
pub(crate) const SUSPENDING: usize = 4096;
/// Bytes at the end of that which must be untouched.
const SPARE: usize = 1024;
/// Bytes of a stack that are cleared before a run, so that remains of earlier runs do not tell equal ones apart.
const CLEARED: usize = 16 * 1024;
/// How far the explorer's own frames reach below its `resume`, and above it at least: the machine that resumes lies there.
const BELOW: usize = 16 * 1024;
const ABOVE: usize = 2 * 1024;

/// A hash of 128 bits: of two that are equal, what was added is taken for equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(u64, u64);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344)
    }

    #[inline]
    pub(crate) fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.1 = (self.1.rotate_left(41) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    }

    /// Half of it, for sets of which two are compared.
    pub(crate) fn half(self) -> u64 {
        self.0 ^ self.1.rotate_left(32)
    }
}

/// Where a run's stack lies, and what lies on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    /// The part in which the code under check has its frames.
    pub(crate) bottom: usize,
    pub(crate) top: usize,
}

impl Image {
    /// Adds the part's bytes to `print`; whether the part has room to spare at its bottom, and so has all. `stack` is the whole
    /// stack: where it lies makes no difference, not even to what is left of a pointer to it. `floor` is an address in the
    /// explorer's frames: pointers to those tell nothing.
    ///
    /// # Safety
    /// 1. The part lies on a stack that is allocated and on which nothing runs meanwhile.
    pub(crate) unsafe fn add_to(self, print: &mut Fingerprint, stack: &Range<usize>, floor: usize) -> bool {
        let frames = floor - BELOW..floor + ABOVE;
        let words = self.bottom.next_multiple_of(8)..self.top & !7;
        let (first, mut whole) = (words.start, !words.is_empty());
        print.add(words.len() as u64);
        for at in words.step_by(8) {
            // SAFETY: 1. aligned, and inside the part. The read is volatile, since these bytes belong to frames and some
            // of them to no value: what the compiler knows of them does not count here.
            let word = unsafe { core::ptr::with_exposed_provenance::<u64>(at).read_volatile() };
            whole &= word == 0 || at - first >= SPARE;
            let address = word as usize;
            let below_end = (stack.end as u32).wrapping_sub(word as u32);
            print.add(if stack.contains(&address) {
                (stack.end - address) as u64 ^ 0x8d12_9f5c_f3a7_e64b
            } else if frames.contains(&address) {
                0x4528_21e6_38d0_1377
            } else if word >> 32 == 0 && (1..=stack.len()).contains(&(below_end as usize)) {
                // What is left of a pointer to the stack where zeros have been put over its upper half.
                u64::from(below_end) ^ 0xbe54_66cf_34e9_0c6c
            } else {
                word
            });
        }
        whole
    }
}

/// Clears the end of a stack at which frames begin.
///
/// # Safety
/// 1. `stack` is allocated, and nothing has run on it since or will go on there.
pub(crate) unsafe fn clear(stack: &Range<usize>) {
    let from = stack.end.saturating_sub(CLEARED).max(stack.start);
    // SAFETY: 1.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(from).write_bytes(0, stack.end - from) };
}
