//! Processes that come and go.

use super::helper;
use super::workers::{Random, Slot, check_some, pause, process};
use crate::machine;
use crate::sched::{Flow, Task, cycle, spawn};
use crate::space::{Grabbed, Process};
use alloc::sync::Arc;

const PAGES: u8 = 8;

/// Kernel threads upgrade their references while the owner exits.
pub fn upgrade_exit(cpus: usize) {
    let slot = Slot::new(process(PAGES));
    for n in 0..cpus - 1 {
        let random = Random::new(n as u64 + 400);
        spawn(helper(cpus, n), Upgrader { slot: slot.clone(), grabbed: None, random });
    }
    spawn(0, Replacer { slot, polls: 600, random: Random::new(399) });
}

struct Upgrader {
    slot: Arc<Slot>,
    grabbed: Option<Grabbed>,
    random: Random,
}

impl Task for Upgrader {
    fn step(&mut self) -> Flow {
        let Some(grabbed) = &self.grabbed else {
            self.grabbed = self.slot.current().map(|process| process.grab());
            return Flow::Again;
        };
        let Ok(user) = grabbed.reference.upgrade() else {
            self.grabbed = None;
            return Flow::Again;
        };
        machine::borrow(&user, || check_some(&grabbed.space, &mut self.random, PAGES, 8));
        Flow::Again
    }
}

/// Puts a new process in the place of the old one, which exits.
struct Replacer {
    slot: Arc<Slot>,
    /// It lets processes live for so many polls at most: not always as long, or all references were upgraded too late.
    polls: u64,
    random: Random,
}

impl Task for Replacer {
    fn stop(&mut self) {
        drop(self.slot.replace(None));
    }

    fn step(&mut self) -> Flow {
        drop(self.slot.replace(Some(process(PAGES))));
        pause(self.random.below(self.polls), || false);
        cycle();
        Flow::Again
    }
}

/// A process replaces its space under its own threads, which move over one by one.
pub fn exec(cpus: usize) {
    let slot = Slot::new(process(PAGES));
    for n in 0..cpus - 1 {
        spawn(helper(cpus, n), Follower { slot: slot.clone(), random: Random::new(n as u64 + 410) });
    }
    spawn(0, Replacer { slot, polls: 20, random: Random::new(409) });
}

struct Follower {
    slot: Arc<Slot>,
    random: Random,
}

impl Task for Follower {
    fn process(&self) -> Option<Arc<Process>> {
        self.slot.current()
    }

    fn step(&mut self) -> Flow {
        // The space that `process` answered is loaded; another may be current by now.
        machine::with_loaded(|space| check_some(space, &mut self.random, PAGES, 8));
        Flow::Again
    }
}

/// Every CPU makes processes that live for a few steps.
pub fn many_spaces(cpus: usize) {
    for cpu in 0..cpus {
        spawn(cpu, ShortLived { process: None, random: Random::new(cpu as u64 + 420) });
    }
}

struct ShortLived {
    process: Option<Arc<Process>>,
    random: Random,
}

impl Task for ShortLived {
    fn process(&self) -> Option<Arc<Process>> {
        self.process.clone()
    }

    fn step(&mut self) -> Flow {
        match &self.process {
            None => self.process = Some(process(PAGES)),
            Some(process) => {
                check_some(process.space(), &mut self.random, PAGES, 8);
                process.space().scribble(self.random.page(PAGES));
                if self.random.below(3) == 0 {
                    self.process = None;
                    cycle();
                }
            }
        }
        Flow::Again
    }
}
