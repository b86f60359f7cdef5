//! What the threads of a machine share, apart from the engine.

use crate::console::Console;
use crate::fences::Fences;
use crate::findings::{Finding, Move, Unfenced};
use crate::frames::{FRAME, Frames, lock};
use crate::hart::Trap;
use crate::image::Image;
use crate::stage2::{Entry, PAGES, Stage2};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Frames of the host beyond those that the guest fills.
const SPARE: u32 = 64;

/// What the threads of a machine share.
pub struct Shared {
    /// The host's memory.
    pub frames: Frames,
    /// Which frame each page of the guest is in.
    pub stage2: Stage2,
    /// What the guest prints.
    pub console: Console,
    /// The harts, as others see them.
    pub harts: Box<[Slot]>,
    /// Remote fences of the guest.
    pub fences: Fences,
    /// Whether they are carried out.
    pub fencing: bool,
    /// Uses of translations for which the guest has forgotten a fence.
    pub unfenced: Mutex<Vec<Unfenced>>,
    /// Whether the host moves pages.
    pub moving: bool,
    /// Pages moved so far.
    pub moves: AtomicU32,
    /// The move by which the guest left a frame last.
    left: Box<[AtomicU64]>,
    end: Mutex<Option<End>>,
    ended: AtomicBool,
    ends: Condvar,
}

/// Why a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest shut it down.
    Shutdown,
    /// The guest shut it down and says that it failed.
    Failed,
    /// All harts have stopped.
    AllOff,
    /// A hart trapped, and the guest has no handler.
    Trap {
        /// The hart.
        hart: u64,
        /// Where.
        pc: u64,
        /// Why.
        trap: Trap,
    },
    /// A hart has used up its instructions.
    Steps {
        /// The hart.
        hart: u64,
        /// Where.
        pc: u64,
    },
    /// Time is up.
    Seconds,
    /// The emulator's check has seen what must not happen.
    Found(Finding),
}

/// A hart, as others see it.
#[derive(Default)]
pub struct Slot {
    /// Whether it runs.
    pub power: Mutex<Power>,
    /// Whether another hart has sent it an interrupt.
    pub interrupt: AtomicBool,
    /// Instructions that it has carried out, from time to time.
    pub steps: AtomicU64,
}

/// Whether a hart runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Power {
    /// No.
    #[default]
    Off,
    /// Soon, from an address and with a value in its second register.
    Starting(u64, u64),
    /// Yes.
    On,
}

impl Shared {
    /// Makes the memory of a machine with `image` in it; hart 0 is about to start.
    pub fn new(image: &Image, harts: u32, moving: bool) -> Self {
        let frames = Frames::new(PAGES + SPARE);
        let mut pages = image.memory.chunks(FRAME as usize);
        let entries: Vec<_> = (0..PAGES)
            .map(|page| {
                let (frame, epoch) = frames.take(page).expect("there are frames for all pages");
                frames.fill(frame, pages.next().unwrap_or(&[]));
                Entry { frame, epoch, writable: true }
            })
            .collect();
        let harts: Box<[Slot]> = (0..harts).map(|_| Slot::default()).collect();
        *lock(&harts[0].power) = Power::Starting(image.entry, 0);
        Self {
            frames,
            stage2: Stage2::new(entries.into_iter()),
            console: Console::default(),
            harts,
            fences: Fences::default(),
            fencing: true,
            unfenced: Mutex::default(),
            moving,
            moves: AtomicU32::new(0),
            left: (0..PAGES + SPARE).map(|_| AtomicU64::new(0)).collect(),
            end: Mutex::new(None),
            ended: AtomicBool::new(false),
            ends: Condvar::new(),
        }
    }

    /// Ends the machine; what the emulator's check has found comes before any other reason, and the first reason before
    /// later ones.
    pub fn end(&self, why: End) {
        let mut end = lock(&self.end);
        let found = matches!(*end, Some(End::Found(_)));
        if end.is_none() || (matches!(why, End::Found(_)) && !found) {
            *end = Some(why);
        }
        self.ended.store(true, Ordering::Relaxed);
        self.ends.notify_all();
    }

    /// Whether the machine has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits until the machine has ended, at most so long.
    pub fn wait(&self, at_most: Duration) {
        let end = lock(&self.end);
        let waited = self.ends.wait_timeout_while(end, at_most, |end| end.is_none());
        drop(waited.unwrap_or_else(std::sync::PoisonError::into_inner));
        self.end(End::Seconds);
    }

    /// Why it ended.
    pub fn why(&self) -> End {
        lock(&self.end).unwrap_or(End::Seconds)
    }

    /// Instructions of all harts so far.
    pub fn steps(&self) -> u64 {
        self.harts.iter().map(|slot| slot.steps.load(Ordering::Relaxed)).sum()
    }

    /// Notes by which move the guest leaves a frame.
    pub fn leave(&self, frame: u32, moved: Move) {
        let word = u64::from(moved.number) << 32 | u64::from(moved.generation);
        self.left[frame as usize].store(word, Ordering::Relaxed);
    }

    /// The move by which the guest left a frame last.
    pub fn left(&self, frame: u32) -> Move {
        let word = self.left[frame as usize].load(Ordering::Relaxed);
        Move { number: (word >> 32) as u32, generation: word as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Trampled;

    fn shared() -> Shared {
        Shared::new(&Image { entry: 0x8000_0000, memory: vec![1; 5000] }, 2, true)
    }

    #[test]
    fn findings_come_before_any_other_end() {
        let shared = shared();
        let found = |frame| End::Found(Finding::Trampled(Trampled { frame, found: 0 }));
        shared.end(End::Shutdown);
        shared.end(End::Failed);
        assert_eq!(shared.why(), End::Shutdown);
        shared.end(found(1));
        shared.end(found(2));
        assert_eq!(shared.why(), found(1));
        shared.wait(Duration::ZERO);
        assert!(shared.has_ended());
    }

    #[test]
    fn the_image_is_where_the_table_says() {
        let shared = shared();
        let second = shared.stage2.read(1);
        assert_eq!(shared.frames.load(second.frame, 900, crate::isa::Size::Half), 0x0101);
        assert_eq!(shared.frames.load(second.frame, 904, crate::isa::Size::Double), 0);
        shared.leave(3, Move { number: 7, generation: 9 });
        assert_eq!(shared.left(3), Move { number: 7, generation: 9 });
    }
}
