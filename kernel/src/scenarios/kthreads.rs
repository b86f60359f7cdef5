//! Kernel threads: they borrow spaces, or run lazily on whatever is loaded.

use super::helper;
use super::workers::{Decoy, Random, Worker, check_some, map, pause, process};
use crate::machine::{self, ENGINE};
use crate::sched::{Flow, Task, count_cycles, cycle, spawn};
use crate::space::{BATCH, Grabbed, Process};
use alloc::sync::Arc;

const PAGES: u8 = 24;

/// Kernel threads borrow a space whose owner unmaps.
pub fn borrow(cpus: usize) {
    let process = process(PAGES);
    for n in 0..cpus - 1 {
        spawn(helper(cpus, n), Borrower { grabbed: process.grab(), random: Random::new(n as u64 + 300) });
    }
    spawn(0, Unmapper::new(process, Trim::Never));
}

struct Borrower {
    grabbed: Grabbed,
    random: Random,
}

impl Task for Borrower {
    fn step(&mut self) -> Flow {
        let Ok(user) = self.grabbed.reference.upgrade() else { return Flow::Done };
        machine::borrow(&user, || check_some(&self.grabbed.space, &mut self.random, PAGES, 16));
        Flow::Again
    }
}

/// Whether the owner asks idle CPUs to leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trim {
    Never,
    Always,
}

/// Unmaps pages one by one, more in a row than the engine remembers, and gives their frames to another owner.
struct Unmapper {
    process: Arc<Process>,
    decoy: Decoy,
    random: Random,
    trim: Trim,
}

impl Unmapper {
    fn new(process: Arc<Process>, trim: Trim) -> Self {
        Self { process, decoy: Decoy::new(), random: Random::new(301), trim }
    }
}

impl Task for Unmapper {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.process.clone())
    }

    fn step(&mut self) -> Flow {
        if self.trim == Trim::Always {
            ENGINE.trim(self.process.space().engine());
        }
        let first = self.random.page(PAGES - BATCH as u8);
        let pages = first..first + BATCH as u8;
        pages.clone().for_each(|page| self.process.space().unmap([page]));
        self.decoy.take(pages.clone());
        pages.clone().for_each(|page| map(&self.process, page));
        // Readers have a look while strangers own the old frames.
        pause(100, || false);
        self.decoy.give_back(pages);
        count_cycles(BATCH as u64);
        Flow::Again
    }
}

/// User threads and kernel threads take turns on each CPU, so that CPUs are lazy while pages go.
pub fn lazy(cpus: usize) {
    let process = process(PAGES);
    for n in 0..cpus - 1 {
        spawn(helper(cpus, n), Worker::reader(&process, PAGES, n + 310));
        spawn(helper(cpus, n), Idle { process: process.clone(), polls: 4000 });
    }
    spawn(0, Unmapper::new(process, Trim::Never));
}

/// A kernel thread that only takes time: until a dozen flushes were made, or for so many polls.
pub struct Idle {
    process: Arc<Process>,
    polls: u64,
}

impl Idle {
    /// Makes one that soon gives up.
    pub fn short(process: &Arc<Process>) -> Self {
        Self { process: process.clone(), polls: 200 }
    }
}

impl Task for Idle {
    fn step(&mut self) -> Flow {
        let space = self.process.space().engine();
        let begin = space.generation().number();
        pause(self.polls, || space.generation().number() > begin + 12);
        Flow::Again
    }
}

/// The owner asks idle CPUs to leave its mask, while some are lazy, some busy, and some elsewhere.
pub fn trim(cpus: usize) {
    let (shared, other) = (process(PAGES), process(4));
    for n in 0..cpus - 1 {
        spawn(helper(cpus, n), Worker::reader(&shared, PAGES, n + 320));
        match n % 3 {
            1 => spawn(helper(cpus, n), Idle::short(&shared)),
            2 => spawn(helper(cpus, n), Worker::reader(&other, 4, n + 330)),
            _ => {}
        }
    }
    spawn(0, Unmapper::new(shared, Trim::Always));
    spawn(0, Beat);
}

/// Counts that the first CPU's queue went round.
struct Beat;

impl Task for Beat {
    fn step(&mut self) -> Flow {
        cycle();
        Flow::Again
    }
}
