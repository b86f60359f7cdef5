//! Tasks that several scenarios have, and what they share.

use crate::arch;
use crate::ending::stopping;
use crate::lock::Mutex;
use crate::sched::{Flow, Task, breathe};
use crate::space::{Met, Process, Space};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

/// Numbers that look random, the same in every run.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Begins a sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    /// A page below `end`.
    pub fn page(&mut self, end: u8) -> u8 {
        self.below(u64::from(end)) as u8
    }
}

static READS: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);

/// Pages that workers have read, and faults that they have met.
pub fn counts() -> [u64; 2] {
    [READS.load(Ordering::Relaxed), FAULTS.load(Ordering::Relaxed)]
}

/// Reads a page and checks what it finds.
pub fn check_page(space: &Space, page: u8) {
    READS.fetch_add(1, Ordering::Relaxed);
    if space.check(page) == Met::Fault {
        FAULTS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads some pages below `end` and checks what it finds; says which page was missing, if one was.
pub fn check_some(space: &Space, random: &mut Random, end: u8, reads: u64) -> Option<u8> {
    let (mut missing, mut faults) = (None, 0);
    for read in 0..reads {
        if read == reads / 2 {
            breathe();
        }
        let page = random.page(end);
        if space.check(page) == Met::Fault {
            missing = Some(page);
            faults += 1;
        }
    }
    READS.fetch_add(reads, Ordering::Relaxed);
    FAULTS.fetch_add(faults, Ordering::Relaxed);
    missing
}

/// A process with its first pages mapped.
///
/// # Panics
/// Memory has run out.
pub fn process(pages: u8) -> Arc<Process> {
    let process = Process::new().expect("frames for a process");
    for page in 0..pages {
        map(&process, page);
    }
    Arc::new(process)
}

/// Maps a new frame.
///
/// # Panics
/// Memory has run out.
pub fn map(process: &Process, page: u8) {
    process.space().map_new(page).expect("frames for a page");
}

/// A process with whose pages the frames of others are taken at once, so that who still reads them meets a stranger.
#[derive(Debug)]
pub struct Decoy(Arc<Process>);

impl Decoy {
    /// Makes one.
    pub fn new() -> Self {
        Self(process(0))
    }

    /// Takes the frames that were given back last.
    pub fn take(&self, pages: impl Iterator<Item = u8>) {
        pages.for_each(|page| map(&self.0, page));
    }

    /// Gives them back.
    pub fn give_back(&self, pages: impl Iterator<Item = u8>) {
        self.0.space().unmap(pages);
    }
}

/// The process that a scenario is about at the moment.
#[derive(Debug)]
pub struct Slot(Mutex<Option<Arc<Process>>>);

impl Slot {
    /// Begins with `process`.
    pub fn new(process: Arc<Process>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(process))))
    }

    /// The process, if there is one.
    pub fn current(&self) -> Option<Arc<Process>> {
        self.0.lock().clone()
    }

    /// Puts another in its place, and returns the old one: drop it outside locks.
    pub fn replace(&self, process: Option<Arc<Process>>) -> Option<Arc<Process>> {
        core::mem::replace(&mut *self.0.lock(), process)
    }
}

/// A user thread that reads, and perhaps writes, all the time.
#[derive(Debug)]
pub struct Worker {
    /// Its process.
    pub process: Arc<Process>,
    /// It uses the pages below this.
    pub pages: u8,
    /// Which numbers it draws.
    pub random: Random,
    /// Whether it writes as well.
    pub writes: bool,
}

impl Worker {
    /// Makes one that reads.
    pub fn reader(process: &Arc<Process>, pages: u8, seed: usize) -> Self {
        Self { process: process.clone(), pages, random: Random::new(seed as u64 + 1), writes: false }
    }

    /// Makes one that writes as well.
    pub fn writer(process: &Arc<Process>, pages: u8, seed: usize) -> Self {
        Self { writes: true, ..Self::reader(process, pages, seed) }
    }
}

impl Task for Worker {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.process.clone())
    }

    fn step(&mut self) -> Flow {
        check_some(self.process.space(), &mut self.random, self.pages, 16);
        if self.writes {
            self.process.space().scribble(self.random.page(self.pages));
        }
        Flow::Again
    }
}

/// Waits for a while, in which other CPUs run.
pub fn pause(polls: u64, mut over: impl FnMut() -> bool) {
    for poll in 0..polls {
        if over() || stopping() {
            return;
        }
        if poll % 64 == 63 {
            arch::yield_now();
        }
    }
}
