//! Operations between marks, for a plugin of QEMU that counts their instructions.

use super::helper;
use super::workers::{pause, process};
use crate::arch::mark;
use crate::ending::stop;
use crate::machine::ENGINE;
use crate::sched::{Flow, Task, breathe, cycle, spawn};
use crate::space::Process;
use crate::window;
use alloc::sync::Arc;
use shootdown::flush::{FlushRequest, PageRange, VirtAddr};

const PAGES: u8 = 4;
const ROUNDS: u64 = 300;

/// A flush of which one other CPU must be told, and what concerns this CPU alone.
pub fn one(cpus: usize) {
    flushes(cpus, 1);
}

/// A flush of which three other CPUs must be told.
pub fn three(cpus: usize) {
    flushes(cpus, 3);
}

fn flushes(cpus: usize, targets: usize) {
    assert!(targets < cpus, "{targets} targets on {cpus} CPUs");
    let shared = process(PAGES);
    (0..targets).for_each(|n| spawn(helper(cpus, n), Resident(shared.clone())));
    spawn(0, Counted { shared, alone: process(PAGES), targets, rounds: 0 });
}

/// A user thread that is only there.
struct Resident(Arc<Process>);

impl Task for Resident {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.0.clone())
    }

    fn step(&mut self) -> Flow {
        pause(1000, || false);
        Flow::Again
    }
}

struct Counted {
    shared: Arc<Process>,
    alone: Arc<Process>,
    targets: usize,
    rounds: u64,
}

impl Counted {
    /// Sends a flush, and waits for it once all CPUs have answered: no time is lost between the marks.
    fn flush<const SEND: u32, const SENT: u32, const WAIT: u32, const WAITED: u32>(&self) {
        let space = self.shared.space().engine();
        let pages = FlushRequest::pages(PageRange::page(VirtAddr(window::address(0))));
        mark::<SEND>();
        let pending = ENGINE.send(space, pages);
        mark::<SENT>();
        (0..32).for_each(|_| breathe());
        mark::<WAIT>();
        pending.finish();
        mark::<WAITED>();
    }

    /// Sends a flush and waits for it in one call; the plugin leaves the waiting out.
    fn flush_at_once<const BEGIN: u32, const END: u32>(&self) {
        let pages = FlushRequest::pages(PageRange::page(VirtAddr(window::address(0))));
        mark::<BEGIN>();
        ENGINE.flush(self.shared.space().engine(), pages);
        mark::<END>();
    }

    /// What this CPU does by itself.
    fn alone(&self) {
        let (shared, alone) = (self.shared.user(), self.alone.user());
        let pages = FlushRequest::pages(PageRange::page(VirtAddr(window::address(0))));
        mark::<10>();
        ENGINE.switch_to(alone);
        mark::<11>();
        mark::<0>();
        ENGINE.flush(self.alone.space().engine(), pages);
        mark::<1>();
        mark::<12>();
        ENGINE.enter_lazy();
        ENGINE.switch_to(alone);
        mark::<13>();
        ENGINE.enter_lazy();
        mark::<14>();
        drop(ENGINE.borrow(shared));
        mark::<15>();
        ENGINE.switch_to(shared);
    }
}

impl Task for Counted {
    fn process(&self) -> Option<Arc<Process>> {
        Some(self.shared.clone())
    }

    fn step(&mut self) -> Flow {
        if self.rounds == ROUNDS {
            stop();
            return Flow::Done;
        }
        self.rounds += 1;
        if self.targets == 1 {
            self.flush::<2, 3, 4, 5>();
            self.flush_at_once::<16, 17>();
            self.alone();
        } else {
            self.flush::<6, 7, 8, 9>();
            self.flush_at_once::<18, 19>();
        }
        cycle();
        Flow::Again
    }
}
