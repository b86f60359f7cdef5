//! What suspended code can still look at, as a fingerprint.
//!
//! Given an answer, suspended code goes on from its registers and its stack, from memory that never changes during an
//! exploration, and from blocks of the heap that it owns. While it is suspended its registers lie on its stack, so all
//! but the heap is in the bytes between the two ends that [`Image`] names. Two runs of one entry with the same bytes
//! there do the same from then on, whatever they have seen before, if neither owns a block of the heap:
//! `machine/merge.rs` makes sure.
//!
//! Bytes that nothing will read again may differ between runs that go on alike. That costs only a merge.
//!
//! Pointers to a stack count by their distance from its end, and so do their lower halves beside an upper half of
//! zeros. Nothing tells such a half from a number of 32 bits. On one stack different numbers have different distances.
//! On two stacks they have the same one if each points into its stack and they differ as the two ends do, by whole
//! pages. No number that is less than [`SMALL`] away from 0 points into a stack, as an `u32` or `i32`:
//! [`clear_of_small`] passes over those into which one would. Larger ones have to meet both stacks, which the host puts
//! anywhere.

use corosensei::stack::Stack;
use std::io;
use std::ops::Range;

/// What suspending takes of the stack at most, below the first variable of the function that does it. Without
/// optimisation it is some hundred bytes.
pub(crate) const SUSPENDING: usize = 4096;
/// Bytes at the end of that which must be untouched.
const SPARE: usize = 1024;
/// Bytes of a stack that are cleared before a run, so that remains of earlier runs do not tell equal ones apart.
const CLEARED: usize = 16 * 1024;
/// How far the explorer's own frames reach below its `resume`, and above it at least: the machine that resumes lies
/// there.
const BELOW: usize = 16 * 1024;
const ABOVE: usize = 2 * 1024;
/// Numbers closer to zero than this, counters and indices say, are never taken for what is left of a pointer.
const SMALL: u32 = 16 << 20;

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
    /// Adds the part's bytes to `print`; whether the part has room to spare at its bottom, and so has all. `stack` is
    /// the whole stack: where it lies makes no difference, not even to what is left of a pointer to it. `floor` is an
    /// address in the explorer's frames: pointers to those tell nothing.
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
                // The lower half of a pointer to the stack, where zeros have been put over the upper one.
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

/// Makes a stack that no small number would point into as the lower half of an address.
///
/// # Errors
/// Those of `make`.
pub(crate) fn clear_of_small<T: Stack>(mut make: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    // Kept meanwhile, so that the next one lies elsewhere.
    let mut passed_over = Vec::new();
    loop {
        let stack = make()?;
        if !holds_small(&(stack.limit().get()..stack.base().get())) {
            return Ok(stack);
        }
        passed_over.push(stack);
    }
}

/// Whether the lower half of an address in `stack`, or of its end, is within [`SMALL`] of zero, above or below.
fn holds_small(stack: &Range<usize>) -> bool {
    let above_small = (stack.start as u32).wrapping_add(SMALL);
    above_small < 2 * SMALL || above_small.checked_add(stack.len() as u32).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use corosensei::stack::StackPointer;

    const ROOM: usize = 256 * 1024;
    /// An address in the explorer's frames, far from all stacks.
    const EXPLORER: usize = 0x7fff_0000_0000;
    /// Numbers that code under check may count with, as 32 bits.
    const NUMBERS: [u32; 8] =
        [0, 5, 0x4_0005, 0x8_0005, SMALL - 1, u32::MAX, u32::MAX - 0x4_0000, SMALL.wrapping_neg() + 1];

    fn ending_at(end: usize) -> Range<usize> {
        end - ROOM..end
    }

    /// The fingerprint of a frame that holds `word`, on a stack that is said to lie at `stack`.
    fn print(word: u64, stack: &Range<usize>) -> Fingerprint {
        let mut print = Fingerprint::new();
        let frame = [word; 2];
        let bottom = frame.as_ptr().expose_provenance();
        // SAFETY: 1. the frame is this array.
        unsafe { Image { bottom, top: bottom + 16 }.add_to(&mut print, stack, EXPLORER) };
        print
    }

    #[test]
    fn what_is_left_of_a_pointer_counts_by_its_distance_from_the_end() {
        let (one, other) = (ending_at(0x7f12_4004_0000), ending_at(0x7f12_4008_0000));
        let left = |stack: &Range<usize>, depth| print((stack.end - depth) as u64 & 0xffff_ffff, stack);
        assert_eq!(left(&one, 0x128), left(&other, 0x128));
        assert_ne!(left(&one, 0x128), left(&other, 0x130));
    }

    #[test]
    fn small_numbers_are_told_apart_on_all_stacks_that_are_taken() {
        // The lower half of the end is zero, a few pages, next to what is refused, and far from it.
        let ends = [0, 0x4_0000, 0x8_0000, 0x0104_0000, 0x4004_0000, 0x4008_0000, 0xfefc_0000, 0xfffc_0000];
        let stacks = ends.map(|low| ending_at(0x7f12_0000_0000 + low));
        let taken = stacks.iter().filter(|stack| !holds_small(stack));
        for (one, other) in taken.clone().flat_map(|one| taken.clone().map(move |other| (one, other))) {
            for (a, b) in NUMBERS.iter().flat_map(|a| NUMBERS.map(|b| (*a, b))) {
                let same = print(a.into(), one) == print(b.into(), other);
                assert_eq!(same, a == b, "{a:#x} on {one:x?}, {b:#x} on {other:x?}");
            }
        }
        assert_eq!(taken.count(), 4);
    }

    #[test]
    fn larger_numbers_pass_for_each_other_only_if_each_meets_its_stack() {
        let (one, other) = (ending_at(0x7f12_4004_0000), ending_at(0x7f12_4008_0000));
        let (a, b) = (0x4000_0005, 0x4004_0005);
        assert_eq!(print(a, &one), print(b, &other), "the price, as the head of the file says");
        assert_ne!(print(a, &one), print(b, &one));
        assert_ne!(print(b, &one), print(a, &other));
    }

    struct Fake(Range<usize>);

    // SAFETY: nothing ever runs on it.
    unsafe impl Stack for Fake {
        fn base(&self) -> StackPointer {
            StackPointer::new(self.0.end).expect("not zero")
        }
        fn limit(&self) -> StackPointer {
            StackPointer::new(self.0.start).expect("not zero")
        }
    }

    #[test]
    fn a_stack_into_which_small_numbers_point_is_passed_over() {
        let mut ends = [0x7f12_0004_0000, 0x7f12_0000_0000, 0x7f11_feff_0000].into_iter();
        let mut next =
            || ends.next().map(|end| Fake(ending_at(end))).ok_or(io::ErrorKind::OutOfMemory.into());
        let taken = clear_of_small(&mut next).expect("the third is clear of them");
        assert_eq!(taken.0.end, 0x7f11_feff_0000);
        assert_eq!(clear_of_small(next).err().expect("no more").kind(), io::ErrorKind::OutOfMemory);
    }
}
