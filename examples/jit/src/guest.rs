//! The guest, as its translated code would run: hart 0 maps a window to one of two regions in turn, and overwrites the
//! region that the window has left. Harts 1 and 2 read through the window. Hart 3 has nothing to do with it.
//!
//! The window is one leaf of 2 MiB. Hart 0 fences one address of it, on harts 1 and 2 by their mask; the readers use
//! another page of the leaf too.

use crate::fibers::Hart;
use crate::platform::{HARTS, State};
use shootdown_host::shootdown::flush::{PageSize, VirtAddr};
use shootdown_host::{Fence, Leaf, Machine, Poll};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, OnceLock};

/// Rounds of hart 0.
pub const ROUNDS: u64 = 100;
const WINDOW: u64 = 0x4000_0000;
/// Pages of the window that readers use; the first is the one that is fenced.
const PAGES: [u64; 2] = [0, 300];
/// What stands in a region that the window has left.
const LEFT: u64 = u64::MAX;
/// Passes of a block before translated code lets other harts of its thread run.
const BLOCK: u32 = 8;

/// What one run of the guest works on. Code that is translated finds it by an address; here it is a static.
pub static GUEST: OnceLock<Memory> = OnceLock::new();

/// Memory of the guest and its counts.
pub struct Memory {
    /// The machine.
    pub machine: &'static Machine<()>,
    /// What the harts poll.
    pub states: Arc<[State; HARTS]>,
    /// Whether hart 0 fences, as it must.
    pub fencing: bool,
    /// The two regions: a word for each page of `PAGES`.
    words: [AtomicU64; 4],
    /// The guest's page table: the region that the window leads to.
    region: AtomicUsize,
    /// The round that hart 0 has published.
    round: AtomicU64,
    /// Reads of each reader.
    reads: [AtomicU64; 2],
    /// Reads that came to a region that the window had left.
    stale: AtomicU64,
}

impl Memory {
    /// Makes the memory of a machine.
    pub fn new(machine: &'static Machine<()>, states: Arc<[State; HARTS]>, fencing: bool) -> Self {
        let words = [0, 0, LEFT, LEFT].map(AtomicU64::new);
        let (region, round, reads) = (AtomicUsize::new(0), AtomicU64::new(0), Default::default());
        Self { machine, states, fencing, words, region, round, reads, stale: AtomicU64::new(0) }
    }

    /// Reads, and how many of them were stale.
    pub fn reads(&self) -> (u64, u64) {
        (self.reads.iter().map(|reads| reads.load(Relaxed)).sum(), self.stale.load(Relaxed))
    }

    /// Walks the guest's page table: a leaf of 2 MiB.
    fn walk(&self, page: usize) -> Option<Leaf<usize>> {
        Some(Leaf::new(PageSize::Size2M, self.region.load(Acquire) * PAGES.len() + page))
    }

    fn has_ended(&self) -> bool {
        self.round.load(Relaxed) == ROUNDS
    }
}

/// What a hart runs.
pub fn code(hart: &mut Hart) {
    let memory = GUEST.get().expect("it is made before its machine runs");
    match hart.guest.id().number() {
        0 => write(hart, memory),
        3 => spin(hart, memory),
        reader => read(hart, memory, reader as usize - 1),
    }
}

fn write(hart: &mut Hart, memory: &Memory) {
    for round in 1..=ROUNDS {
        // Each reader has used the window since the last round.
        let before = memory.reads.each_ref().map(|reads| reads.load(Relaxed));
        while { memory.reads.iter() }.zip(before).any(|(reads, before)| reads.load(Relaxed) < before + 4) {
            hart.turn();
        }
        let (old, new) = ((round as usize + 1) % 2, round as usize % 2);
        (0..2).for_each(|page| memory.words[new * 2 + page].store(round, Relaxed));
        memory.region.store(new, Release);
        if memory.fencing {
            let readers = memory.machine.harts(0b110, 0).expect("the machine has them");
            readers.fence(Fence::bytes(WINDOW + PAGES[0] * 4096, 4096));
        }
        (0..2).for_each(|page| memory.words[old * 2 + page].store(LEFT, Relaxed));
        memory.round.store(round, Release);
    }
}

fn read(hart: &mut Hart, memory: &Memory, reader: usize) {
    blocks(hart, memory, |hart| {
        for (index, page) in PAGES.iter().enumerate() {
            let published = memory.round.load(Acquire);
            let address = VirtAddr(WINDOW + page * 4096);
            let word = hart.guest.translate(address, |()| memory.walk(index)).expect("it is mapped");
            let value = memory.words[word].load(Relaxed);
            if value == LEFT || value < published {
                memory.stale.fetch_add(1, Relaxed);
            }
        }
        memory.reads[reader].fetch_add(PAGES.len() as u64, Relaxed);
    });
}

fn spin(hart: &mut Hart, memory: &Memory) {
    blocks(hart, memory, |_| std::hint::spin_loop());
}

/// Runs a block over and over, as a translator's main loop does: until its word says that the hart must poll.
fn blocks(hart: &mut Hart, memory: &Memory, mut block: impl FnMut(&mut Hart)) {
    let state = &memory.states[hart.guest.id().index()];
    while !memory.has_ended() {
        let mut passes = 0;
        while state.exit.load(Relaxed) == 0 && passes < BLOCK {
            block(hart);
            passes += 1;
        }
        if state.exit.load(Relaxed) != 0 {
            state.exits.fetch_add(1, Relaxed);
            if hart.guest.poll() == Poll::Leave {
                return;
            }
        }
        hart.turn();
    }
}
