//! The host's memory: frames, and who owns each.
//!
//! A frame is the guest's, the neighbour's (another user of the same host, who fills what it gets with a canary and
//! looks at it again before it gives the frame up) or free. Every change of owner is a new epoch. A virtual CPU that
//! still uses a translation of an earlier epoch uses memory that is somebody else's, whatever it reads there.

use crate::isa::Size;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a frame.
pub const FRAME: u64 = 4096;
const WORDS: usize = FRAME as usize / 8;

/// Frames that the neighbour holds at most before it gives the oldest up.
const NEIGHBOURS_MOST: usize = 24;

/// All frames.
pub struct Frames {
    words: Box<[AtomicU64]>,
    owners: Box<[AtomicU64]>,
    free: Mutex<Vec<u32>>,
    /// Frames of the neighbour, the oldest first.
    neighbours: Mutex<std::collections::VecDeque<u32>>,
}

/// The owner of a frame, and since which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// How often the frame changed hands.
    pub epoch: u32,
    /// Its user.
    pub holder: Holder,
    /// Whether it is being copied, so that nobody may write it.
    pub sealed: bool,
}

/// The user of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    Free,
    /// The neighbour.
    Neighbour,
    /// The guest, for this page of its memory (counted from 0).
    Guest(u32),
}

/// The neighbour's canary was overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trampled {
    /// The frame.
    pub frame: u32,
    /// What stands there now.
    pub found: u64,
}

const SEALED: u32 = 1 << 31;

impl Owner {
    const fn pack(self) -> u64 {
        let holder = match self.holder {
            Holder::Free => 0,
            Holder::Neighbour => 1,
            Holder::Guest(page) => 2 + page as u64,
        };
        (self.epoch as u64) << 32 | (self.sealed as u64) << 31 | holder
    }

    const fn unpack(word: u64) -> Self {
        let holder = match word as u32 & !SEALED {
            0 => Holder::Free,
            1 => Holder::Neighbour,
            page => Holder::Guest(page - 2),
        };
        Self { epoch: (word >> 32) as u32, holder, sealed: word as u32 & SEALED != 0 }
    }
}

impl Frames {
    /// Makes `count` free frames.
    pub fn new(count: u32) -> Self {
        let zeroed = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            words: zeroed(count as usize * WORDS),
            owners: zeroed(count as usize),
            free: Mutex::new((0..count).rev().collect()),
            neighbours: Mutex::default(),
        }
    }

    /// Takes a free frame for a page of the guest, with its epoch. What it holds is whatever it held.
    pub fn take(&self, page: u32) -> Option<(u32, u32)> {
        let frame = lock(&self.free).pop()?;
        Some((frame, self.pass(frame, Holder::Guest(page))))
    }

    /// Gives a frame that the guest has left to the neighbour, who fills it at once.
    pub fn hand_over(&self, frame: u32) {
        let epoch = self.pass(frame, Holder::Neighbour);
        for word in self.frame(frame) {
            word.store(canary(frame, epoch), Ordering::Relaxed);
        }
        lock(&self.neighbours).push_back(frame);
    }

    /// Has the neighbour look at its oldest frames and give up what it holds beyond its measure, or all of it.
    ///
    /// # Errors
    /// A frame that another owner has written to.
    pub fn take_back(&self, most: usize) -> Result<(), Trampled> {
        loop {
            let mut held = lock(&self.neighbours);
            if held.len() <= most {
                return Ok(());
            }
            let Some(frame) = held.pop_front() else { return Ok(()) };
            drop(held);
            self.look_after(frame)?;
            self.pass(frame, Holder::Free);
            lock(&self.free).push(frame);
        }
    }

    /// How many frames the neighbour likes to hold.
    pub const fn neighbours_most() -> usize {
        NEIGHBOURS_MOST
    }

    fn look_after(&self, frame: u32) -> Result<(), Trampled> {
        let expected = canary(frame, self.owner(frame).epoch);
        let found = self.frame(frame).iter().map(|word| word.load(Ordering::Relaxed));
        match { found }.find(|&found| found != expected) {
            Some(found) => Err(Trampled { frame, found }),
            None => Ok(()),
        }
    }

    /// Returns the owner of a frame.
    pub fn owner(&self, frame: u32) -> Owner {
        // ORDER: relaxed; what is checked is only whether a flush that has returned is behind the change.
        Owner::unpack(self.owners[frame as usize].load(Ordering::Relaxed))
    }

    /// Says that a frame of the guest is not written from now on, until it changes hands.
    pub fn seal(&self, frame: u32) {
        self.owners[frame as usize]
            .store(Owner { sealed: true, ..self.owner(frame) }.pack(), Ordering::Relaxed);
    }

    /// Makes the next epoch of a frame begin, and returns it. One thread at a time passes a frame on.
    fn pass(&self, frame: u32, holder: Holder) -> u32 {
        let epoch = self.owner(frame).epoch + 1;
        self.owners[frame as usize].store(Owner { epoch, holder, sealed: false }.pack(), Ordering::Relaxed);
        epoch
    }

    /// Copies a frame that nobody writes.
    pub fn copy(&self, from: u32, to: u32) {
        for (from, to) in self.frame(from).iter().zip(self.frame(to)) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Fills a frame with `bytes`, and zeros after them.
    pub fn fill(&self, frame: u32, bytes: &[u8]) {
        let mut chunks = bytes.chunks(8);
        for word in self.frame(frame) {
            let mut double = [0; 8];
            let chunk = chunks.next().unwrap_or(&[]);
            double[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(double), Ordering::Relaxed);
        }
    }

    /// Reads; `offset` is aligned to the size.
    pub fn load(&self, frame: u32, offset: u64, size: Size) -> u64 {
        self.word(frame, offset).load(Ordering::Relaxed) >> shift(offset) & size.mask()
    }

    /// Writes; `offset` is aligned to the size.
    pub fn store(&self, frame: u32, offset: u64, size: Size, value: u64) {
        if size == Size::Double {
            self.word(frame, offset).store(value, Ordering::Relaxed);
        } else {
            self.update(frame, offset, size, |_| Some(value));
        }
    }

    /// Replaces what is there by what `change` makes of it, at once; `None` leaves it. Returns what was there.
    pub fn update(&self, frame: u32, offset: u64, size: Size, change: impl Fn(u64) -> Option<u64>) -> u64 {
        let (shift, mask) = (shift(offset), size.mask());
        let word = self.word(frame, offset);
        let step = |old: u64| {
            let new = change(old >> shift & mask)?;
            Some(old & !(mask << shift) | (new & mask) << shift)
        };
        let (Ok(old) | Err(old)) = word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
        old >> shift & mask
    }

    fn frame(&self, frame: u32) -> &[AtomicU64] {
        &self.words[frame as usize * WORDS..][..WORDS]
    }

    fn word(&self, frame: u32, offset: u64) -> &AtomicU64 {
        &self.words[frame as usize * WORDS + (offset % FRAME / 8) as usize]
    }
}

const fn shift(offset: u64) -> u64 {
    offset % 8 * 8
}

/// What the neighbour writes into every word of a frame.
const fn canary(frame: u32, epoch: u32) -> u64 {
    0xca9a_0000_0000_0000 | (epoch as u64 & 0xffff_ffff) << 16 | frame as u64 & 0xffff
}

/// A lock that does not care whether another thread has panicked.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_accesses_share_a_word_and_leave_the_rest_of_it() {
        let frames = Frames::new(1);
        frames.store(0, 8, Size::Double, 0x1122_3344_5566_7788);
        frames.store(0, 10, Size::Half, 0xffff_abcd);
        assert_eq!(frames.load(0, 8, Size::Double), 0x1122_3344_abcd_7788);
        assert_eq!(frames.update(0, 12, Size::Word, |old| Some(old + 1)), 0x1122_3344);
        assert_eq!(frames.load(0, 12, Size::Byte), 0x45);
        assert_eq!(frames.update(0, 12, Size::Word, |_| None), 0x1122_3345);
    }

    #[test]
    fn a_frame_changes_hands_under_a_new_epoch_and_the_neighbour_notices_writes() {
        let frames = Frames::new(2);
        let (frame, epoch) = frames.take(7).expect("two are free");
        assert_eq!(frames.owner(frame), Owner { epoch, holder: Holder::Guest(7), sealed: false });
        frames.seal(frame);
        assert_eq!(frames.owner(frame), Owner { epoch, holder: Holder::Guest(7), sealed: true });
        frames.hand_over(frame);
        assert_eq!(frames.owner(frame), Owner { epoch: epoch + 1, holder: Holder::Neighbour, sealed: false });
        assert_eq!(frames.take_back(1), Ok(()), "it may keep one");
        frames.store(frame, 16, Size::Byte, 1);
        let trampled = frames.take_back(0).expect_err("somebody wrote");
        assert_eq!((trampled.frame, trampled.found & 0xff), (frame, 1));
    }

    #[test]
    fn frames_run_out_and_come_back() {
        let frames = Frames::new(1);
        let (frame, _) = frames.take(0).expect("one is free");
        assert_eq!(frames.take(1), None);
        frames.hand_over(frame);
        assert_eq!(frames.take_back(0), Ok(()));
        assert_eq!(frames.take(1), Some((frame, 4)));
    }
}
