//! The two kernel threads that this project began with: a submission-queue worker in the manner of io_uring's SQPOLL,
//! and an asynchronous fault handler in the manner of userfaultfd.

use super::helper;
use super::workers::{Decoy, Random, Slot, check_page, check_some, map, pause, process};
use crate::arch;
use crate::ending::stopping;
use crate::lock::Mutex;
use crate::machine;
use crate::sched::{Flow, Task, cycle, spawn};
use crate::space::{Grabbed, Process, Space};
use crate::window;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

/// Page of the ring, and the pages that requests name.
const RING: u8 = 0;
const PAGES: u8 = 12;
/// Words of the ring page: what was submitted, what was done, and the requests.
const SUBMITTED: usize = 8;
const DONE: usize = 9;
const REQUESTS: usize = 16;
const ROOM: u64 = 16;
/// Rounds after which the owner exits.
const LIFE: u64 = 40;

fn ring_word(index: usize) -> u64 {
    window::address(RING) + 8 * index as u64
}

/// A kernel thread polls a ring in user memory and works on user memory, while the owner unmaps and exits.
pub fn sqpoll(cpus: usize) {
    let slot = Slot::new(fresh());
    spawn(helper(cpus, 0), Poller { slot: slot.clone(), grabbed: None });
    spawn(0, Submitter::new(slot));
}

/// The worker: it holds a struct reference, and a user reference only while there is work.
struct Poller {
    slot: Arc<Slot>,
    grabbed: Option<Grabbed>,
}

impl Task for Poller {
    fn step(&mut self) -> Flow {
        let Some(grabbed) = &self.grabbed else {
            self.grabbed = self.slot.current().map(|process| process.grab());
            return Flow::Again;
        };
        let Ok(user) = grabbed.reference.upgrade() else {
            // The owner is gone.
            self.grabbed = None;
            return Flow::Again;
        };
        machine::borrow(&user, || {
            let mut idle = 0;
            while idle < 50 && !stopping() {
                idle = if serve_ring(&grabbed.space) == Some(true) { 0 } else { idle + 1 };
            }
        });
        // Idle: the space goes back, and what the TLB holds of it stays.
        drop(user);
        pause(100, || false);
        Flow::Again
    }
}

/// Does one request of the ring, if there is one: reads one page and writes another.
fn serve_ring(space: &Space) -> Option<bool> {
    let (submitted, done) = (arch::load_user(ring_word(SUBMITTED))?, arch::load_user(ring_word(DONE))?);
    if done == submitted {
        return Some(false);
    }
    let request = arch::load_user(ring_word(REQUESTS + (done % ROOM) as usize))?;
    let (from, to) = (request as u8 % PAGES, (request >> 8) as u8 % PAGES);
    check_page(space, from);
    check_page(space, to);
    space.scribble(to);
    arch::store_user(ring_word(DONE), done + 1);
    Some(true)
}

/// The owner of the ring.
struct Submitter {
    slot: Arc<Slot>,
    decoy: Decoy,
    random: Random,
    rounds: u64,
    waited: u64,
}

impl Submitter {
    fn new(slot: Arc<Slot>) -> Self {
        Self { slot, decoy: Decoy::new(), random: Random::new(600), rounds: 0, waited: 0 }
    }

    fn submit(&mut self, submitted: u64) {
        for number in submitted..submitted + 4 {
            let (from, to) = (1 + self.random.page(PAGES - 1), 1 + self.random.page(PAGES - 1));
            let request = u64::from(from) | u64::from(to) << 8;
            arch::store_user(ring_word(REQUESTS + (number % ROOM) as usize), request);
        }
        arch::store_user(ring_word(SUBMITTED), submitted + 4);
    }

    /// Unmaps pages that requests have named, lets strangers have their frames, and maps others.
    fn recycle(&mut self, process: &Process) {
        let first = 1 + self.random.page(PAGES - 5);
        let pages = first..first + 4;
        process.space().unmap(pages.clone());
        self.decoy.take(pages.clone());
        pages.clone().for_each(|page| map(process, page));
        // For as long as a round lasts the strangers keep them.
        self.decoy.give_back(1..first);
        self.decoy.give_back(first + 4..PAGES);
    }
}

impl Task for Submitter {
    fn process(&self) -> Option<Arc<Process>> {
        self.slot.current()
    }

    fn stop(&mut self) {
        drop(self.slot.replace(None));
    }

    fn step(&mut self) -> Flow {
        let Some(process) = self.slot.current() else { return Flow::Done };
        let (Some(submitted), Some(done)) =
            (arch::load_user(ring_word(SUBMITTED)), arch::load_user(ring_word(DONE)))
        else {
            return Flow::Again;
        };
        self.waited += 1;
        if done < submitted && self.waited < 100_000 {
            arch::yield_now();
            return Flow::Again;
        }
        self.waited = 0;
        self.rounds += 1;
        // Often the worker has given the space back by then, and often not.
        pause(self.random.below(2000), || false);
        self.recycle(&process);
        self.submit(submitted);
        cycle();
        if self.rounds % LIFE == 0 {
            // It exits under the worker, with requests in the ring.
            drop(self.slot.replace(Some(fresh())));
        }
        Flow::Again
    }
}

/// A process whose ring is empty.
fn fresh() -> Arc<Process> {
    let process = process(PAGES);
    if let Some(frame) = process.space().frame(RING) {
        for index in [SUBMITTED, DONE] {
            frame.word(index).store(0, core::sync::atomic::Ordering::Relaxed);
        }
    }
    process
}

/// A kernel thread maps pages that user threads miss, while the owner unmaps them and exits.
pub fn userfault(cpus: usize) {
    let events: Events = Arc::new(Mutex::new(VecDeque::new()));
    let slot = Slot::new(process(PAGES));
    for n in 1..cpus.max(2) {
        let random = Random::new(n as u64 + 610);
        spawn(helper(cpus, n), Faulter { slot: slot.clone(), events: events.clone(), random });
    }
    spawn(helper(cpus, 0), Handler { slot: slot.clone(), events, grabbed: None });
    spawn(0, Evictor { slot, random: Random::new(620), rounds: 0 });
}

/// Pages that were missed.
type Events = Arc<Mutex<VecDeque<u8>>>;
/// Most that wait; a thread for which there is no room faults again.
const MOST_EVENTS: usize = 64;

struct Faulter {
    slot: Arc<Slot>,
    events: Events,
    random: Random,
}

impl Task for Faulter {
    fn process(&self) -> Option<Arc<Process>> {
        self.slot.current()
    }

    fn step(&mut self) -> Flow {
        let missing = machine::with_loaded(|space| check_some(space, &mut self.random, PAGES, 8)).flatten();
        if let Some(page) = missing {
            let mut events = self.events.lock();
            if events.len() < MOST_EVENTS {
                events.push_back(page);
            }
        }
        Flow::Again
    }
}

/// The fault handler: it holds a struct reference, and upgrades it for each page.
struct Handler {
    slot: Arc<Slot>,
    events: Events,
    grabbed: Option<Grabbed>,
}

impl Task for Handler {
    fn step(&mut self) -> Flow {
        let Some(grabbed) = &self.grabbed else {
            self.grabbed = self.slot.current().map(|process| process.grab());
            return Flow::Again;
        };
        let Some(page) = self.events.lock().pop_front() else {
            pause(20, || false);
            return Flow::Again;
        };
        match grabbed.reference.upgrade() {
            Ok(user) => {
                grabbed.space.map_new(page).expect("a frame");
                // It reads back what it has mapped, and keeps what its TLB holds of it.
                machine::borrow(&user, || check_page(&grabbed.space, page));
                cycle();
            }
            Err(_) => self.grabbed = None,
        }
        Flow::Again
    }
}

/// The owner: it unmaps what the handler has mapped, and exits now and then.
struct Evictor {
    slot: Arc<Slot>,
    random: Random,
    rounds: u64,
}

impl Task for Evictor {
    fn process(&self) -> Option<Arc<Process>> {
        self.slot.current()
    }

    fn stop(&mut self) {
        drop(self.slot.replace(None));
    }

    fn step(&mut self) -> Flow {
        let Some(process) = self.slot.current() else { return Flow::Done };
        let first = self.random.page(PAGES - 4);
        process.space().unmap(first..first + 4);
        self.rounds += 1;
        if self.rounds % (4 * LIFE) == 0 {
            drop(self.slot.replace(Some(fresh())));
        }
        pause(100, || false);
        Flow::Again
    }
}
