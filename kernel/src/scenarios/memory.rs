//! One space, whose pages come, go and change under workers on other CPUs.

use super::helper;
use super::workers::{Decoy, Random, Worker, map, process};
use crate::findings::{self, Finding};
use crate::frames::{Frame, SCRATCH};
use crate::sched::{Flow, Task, breathe, count_cycles, cycle, spawn};
use crate::space::{BATCH, Met, Process};
use crate::window::{self, REGIONS};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

const PAGES: u8 = 32;

/// Pages get other frames under readers.
pub fn remap(cpus: usize) {
    let process = process(PAGES);
    (0..cpus - 1).for_each(|n| spawn(helper(cpus, n), Worker::reader(&process, PAGES, n)));
    spawn(0, Remap { process, random: Random::new(77) });
}

struct Remap {
    process: Arc<Process>,
    random: Random,
}

impl Task for Remap {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.process.clone())
    }

    fn step(&mut self) -> Flow {
        self.process.space().remap(self.random.page(PAGES)).expect("a frame");
        cycle();
        Flow::Again
    }
}

/// Pages are unmapped, and their frames go to another owner at once.
pub fn reuse(cpus: usize) {
    let process = process(PAGES);
    (0..cpus - 1).for_each(|n| spawn(helper(cpus, n), Worker::writer(&process, PAGES, n)));
    spawn(0, Reuse { process, decoy: Decoy::new(), random: Random::new(78) });
}

struct Reuse {
    process: Arc<Process>,
    decoy: Decoy,
    random: Random,
}

impl Task for Reuse {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.process.clone())
    }

    fn step(&mut self) -> Flow {
        let count = 1 + self.random.page(BATCH as u8);
        let first = self.random.page(PAGES - count);
        let pages = first..first + count;
        self.process.space().unmap(pages.clone());
        self.decoy.take(pages.clone());
        pages.clone().for_each(|page| map(&self.process, page));
        self.decoy.give_back(pages);
        count_cycles(u64::from(count));
        Flow::Again
    }
}

/// Pages lose the right to be written under writers.
pub fn write_protect(cpus: usize) {
    let process = process(PAGES);
    (0..cpus - 1).for_each(|n| spawn(helper(cpus, n), Worker::writer(&process, PAGES, n)));
    spawn(0, WriteProtect { process, random: Random::new(79), watched: None });
}

struct WriteProtect {
    process: Arc<Process>,
    random: Random,
    /// The protected page, its frame, and what it held.
    watched: Option<(u8, Arc<Frame>, u64)>,
}

impl Task for WriteProtect {
    fn stop(&mut self) {
        if let Some((page, frame, was)) = self.watched.take() {
            same(page, &frame, was);
            self.process.space().unprotect(page);
            cycle();
        }
    }

    fn step(&mut self) -> Flow {
        self.stop();
        let page = self.random.page(PAGES);
        let frame = self.process.space().protect(page).expect("the page is mapped");
        let was = frame.word(SCRATCH).load(Ordering::Acquire);
        // Long enough for a writer to come by.
        super::workers::pause(200, || false);
        self.watched = Some((page, frame, was));
        Flow::Again
    }
}

fn same(page: u8, frame: &Frame, was: u64) {
    let is = frame.word(SCRATCH).load(Ordering::Acquire);
    if is != was {
        findings::report(Finding::WriteThroughProtection { page, was, is });
    }
}

/// Regions are unmapped together with their page tables.
pub fn table_free(cpus: usize) {
    let process = process(window::PAGES as u8);
    for n in 0..cpus - 1 {
        spawn(helper(cpus, n), Worker::reader(&process, window::PAGES as u8, n));
        spawn(helper(cpus, n), super::kthreads::Idle::short(&process));
    }
    spawn(0, TableFree { process, random: Random::new(80) });
}

struct TableFree {
    process: Arc<Process>,
    random: Random,
}

impl Task for TableFree {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.process.clone())
    }

    fn step(&mut self) -> Flow {
        let region = self.random.below(REGIONS as u64) as usize;
        self.process.space().free_table(region);
        window::pages_of(region).for_each(|page| map(&self.process, page));
        cycle();
        Flow::Again
    }
}

/// Threads of a process unmap the same pages at once: one finds an entry clear that another has cleared and has yet to
/// flush. A thread that returns has made sure that nobody reads the old page, no matter which thread cleared the entry;
/// then it maps new pages there.
pub fn nested_gathers(cpus: usize) {
    let process = process(STRIP);
    spawn(0, Sweeper { process: process.clone(), most: STRIP, random: Random::new(81) });
    spawn(helper(cpus, 0), Sweeper { process: process.clone(), most: 2, random: Random::new(82) });
    (1..cpus.max(2)).for_each(|n| spawn(helper(cpus, n), Worker::reader(&process, STRIP, n)));
}

/// Pages of [`nested_gathers`]: those of a region, so that they are one range.
const STRIP: u8 = BATCH as u8;

/// A user thread that unmaps and maps again.
struct Sweeper {
    process: Arc<Process>,
    /// It unmaps so many pages at a time, or fewer.
    most: u8,
    random: Random,
}

impl Task for Sweeper {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.process.clone())
    }

    fn step(&mut self) -> Flow {
        let count = 1 + self.random.page(self.most);
        let first = self.random.page(STRIP + 1 - count);
        let pages = first..first + count;
        self.process.space().unmap_by_steps(pages.clone(), breathe);
        pages.for_each(|page| map(&self.process, page));
        cycle();
        Flow::Again
    }
}

/// A process forks; parent and child share pages until one writes.
pub fn cow(cpus: usize) {
    let process = process(PAGES);
    (0..cpus - 1).for_each(|n| {
        spawn(helper(cpus, n), Breaker { process: process.clone(), random: Random::new(n as u64 + 900) });
    });
    spawn(0, Forker { process });
}

/// Writes, and gives itself a copy where that faults.
struct Breaker {
    process: Arc<Process>,
    random: Random,
}

impl Task for Breaker {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.process.clone())
    }

    fn step(&mut self) -> Flow {
        let space = self.process.space();
        super::workers::check_some(space, &mut self.random, PAGES, 8);
        let page = self.random.page(PAGES);
        if space.scribble(page) == Met::Fault {
            space.unshare(page, 1).expect("a frame");
        }
        Flow::Again
    }
}

struct Forker {
    process: Arc<Process>,
}

impl Task for Forker {
    fn step(&mut self) -> Flow {
        let child = self.process.fork().expect("frames for a process");
        let page = |page| child.space().frame(page).map(|frame| (page, frame));
        let shared: Vec<(u8, Arc<Frame>)> = (0..PAGES).filter_map(page).collect();
        let was: Vec<u64> =
            shared.iter().map(|(_, frame)| frame.word(SCRATCH).load(Ordering::Acquire)).collect();
        super::workers::pause(400, || false);
        // What the child shares is nobody's to write.
        shared.iter().zip(was).for_each(|((page, frame), was)| same(*page, frame, was));
        cycle();
        Flow::Again
    }
}
