//! Frames of memory, each with a canary that says whose it is.
//!
//! Which are owned is a slab's business; what is written into them is ours. A slab gives out first what was given back
//! last, so that a translation that outlives its frame meets a new owner at once. An allocator that gives out the
//! lowest number keeps the frames of two spaces apart for ever, and hides a missing SD-14 from riscv64.

use crate::arch;
use crate::canary::Canary;
use crate::findings::{self, Finding};
use crate::lock::Mutex;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use slab::Slab;

/// How many frames there are.
pub const COUNT: usize = 12_288;
const SIZE: u64 = 4096;
const WORDS: usize = 512;
/// What the scratch words of a free frame hold.
const POISON: u64 = 0xdead_dead_dead_dead;

/// Word of a frame that holds its [`Canary`].
pub const CANARY: usize = 0;
/// Word that its owner writes. No table of this kernel uses the entries of these numbers: a stale write is found, and
/// ruins nothing.
pub const VERSION: usize = 200;
/// Word that workers write.
pub const SCRATCH: usize = 201;

/// A frame with an owner; dropping it frees it.
#[derive(Debug)]
pub struct Frame {
    number: u16,
}

/// Numbers of frames that have owners.
static OWNED: Mutex<Slab<()>> = Mutex::new(Slab::new());
static EPOCH: AtomicU32 = AtomicU32::new(1);

/// Fills the pool. Once, before other CPUs start.
pub fn init() {
    (0..COUNT as u16).for_each(release);
    // So that it never asks the heap later, when locks are held.
    OWNED.lock().reserve_exact(COUNT);
}

/// How many frames nobody owns.
pub fn free_count() -> usize {
    COUNT - OWNED.lock().len()
}

/// The epoch that the next frame will have, or a later one.
pub fn next_epoch() -> u32 {
    EPOCH.load(Ordering::Acquire)
}

impl Frame {
    /// Gives out a frame for `page` of the owner with this brand; nothing if there is none.
    pub fn page(owner: u16, page: u8) -> Option<Self> {
        let number = take()?;
        word(number, VERSION).store(0, Ordering::Relaxed);
        word(number, SCRATCH).store(0, Ordering::Relaxed);
        let epoch = EPOCH.fetch_add(1, Ordering::AcqRel);
        let canary = Canary { owner, page, frame: number, epoch };
        word(number, CANARY).store(canary.pack(), Ordering::Release);
        Some(Self { number })
    }

    /// Gives out an empty page table.
    pub fn table() -> Option<Self> {
        let number = take()?;
        (0..WORDS).for_each(|index| word(number, index).store(0, Ordering::Relaxed));
        Some(Self { number })
    }

    /// Its address.
    pub fn address(&self) -> u64 {
        address(self.number)
    }

    /// One of its words, as the kernel sees it.
    pub fn word(&self, index: usize) -> &'static AtomicU64 {
        word(self.number, index)
    }

    /// What its canary says.
    pub fn canary(&self) -> Canary {
        Canary::unpack(self.word(CANARY).load(Ordering::Relaxed))
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        release(self.number);
        let owned = OWNED.lock().try_remove(self.number.into());
        assert!(owned.is_some(), "frame {} is given back twice", self.number);
    }
}

/// Takes a free frame, and checks whether it was written to meanwhile.
fn take() -> Option<u16> {
    let number = {
        let mut owned = OWNED.lock();
        if owned.len() == COUNT {
            return None;
        }
        owned.insert(()) as u16
    };
    for index in [VERSION, SCRATCH] {
        let found = word(number, index).load(Ordering::Acquire);
        if found != POISON {
            findings::report(Finding::StaleWrite { frame: number, word: index, value: found });
        }
    }
    Some(number)
}

/// Says in the frame that it is nobody's.
fn release(number: u16) {
    let epoch = EPOCH.fetch_add(1, Ordering::AcqRel);
    let nobody = Canary { owner: 0, page: 0, frame: number, epoch };
    word(number, CANARY).store(nobody.pack(), Ordering::Release);
    word(number, VERSION).store(POISON, Ordering::Relaxed);
    word(number, SCRATCH).store(POISON, Ordering::Release);
}

fn address(number: u16) -> u64 {
    arch::FRAMES + u64::from(number) * SIZE
}

fn word(number: u16, index: usize) -> &'static AtomicU64 {
    assert!(usize::from(number) < COUNT && index < WORDS, "no word {index} of frame {number}");
    let address = address(number) + 8 * index as u64;
    // SAFETY: frames lie where nothing else does, are mapped where they are for ever, and are accessed as atomics alone.
    unsafe { AtomicU64::from_ptr(address as *mut u64) }
}
