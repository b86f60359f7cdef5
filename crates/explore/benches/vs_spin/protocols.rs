//! The protocols of the `.pml` files beside this one, step by step.

use shootdown_explore::sync::{Word, retry};
use shootdown_explore::{NoDevice, Registry, Scenario};
use std::sync::atomic::Ordering::SeqCst;

const MOST: usize = 5;

fn words(name: &'static str) -> [Word; MOST] {
    [(); MOST].map(|()| Word::new(name, 0))
}

/// Each CPU asks all others for a flush by a bit in their mailboxes, and serves its own while it waits.
pub(crate) struct Mailbox {
    cpus: usize,
    generation: Word,
    mail: [Word; MOST],
    done: [Word; MOST],
    finished: Word,
}

impl Mailbox {
    pub(crate) fn new(cpus: usize) -> Self {
        let (generation, finished) = (Word::new("generation", 0), Word::new("finished", 0));
        Self { cpus, generation, mail: words("mail"), done: words("done"), finished }
    }

    fn serve(&self, me: usize) {
        if self.mail[me].load(SeqCst) == 0 {
            return;
        }
        let mail = self.mail[me].swap(0, SeqCst);
        for from in (0..self.cpus).filter(|from| mail >> from & 1 != 0) {
            let before = self.done[from].fetch_add(1, SeqCst);
            assert!(before < self.cpus as u64 - 1, "more answers than CPUs were asked");
        }
    }

    fn serve_until(&self, me: usize, word: &Word, value: u64) {
        retry(|| {
            self.serve(me);
            (word.load(SeqCst) == value).then_some(())
        });
    }
}

impl Scenario for Mailbox {
    type Device = NoDevice;
    fn cpus(&self) -> usize {
        self.cpus
    }
    fn main(&self, me: usize) {
        self.generation.fetch_add(1, SeqCst);
        for to in (0..self.cpus).filter(|&to| to != me) {
            self.mail[to].fetch_or(1 << me, SeqCst);
        }
        self.serve_until(me, &self.done[me], self.cpus as u64 - 1);
        self.done[me].store(0, SeqCst);
        self.finished.fetch_add(1, SeqCst);
        self.serve_until(me, &self.finished, self.cpus as u64);
    }
    fn device(&self) -> &NoDevice {
        &NoDevice
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("mailbox", self);
    }
}

/// Peterson's lock for many, with spinning.
pub(crate) struct Filter {
    cpus: usize,
    level: [Word; MOST],
    victim: [Word; MOST],
    inside: Word,
}

impl Filter {
    pub(crate) fn new(cpus: usize) -> Self {
        Self { cpus, level: words("level"), victim: words("victim"), inside: Word::new("inside", 0) }
    }

    /// One look at the others: whether `me` may pass `level`.
    fn may_pass(&self, me: usize, level: u64) -> bool {
        let ahead = (0..self.cpus).filter(|&cpu| cpu != me).any(|cpu| self.level[cpu].load(SeqCst) >= level);
        !ahead || self.victim[level as usize].load(SeqCst) != me as u64
    }
}

impl Scenario for Filter {
    type Device = NoDevice;
    fn cpus(&self) -> usize {
        self.cpus
    }
    fn main(&self, me: usize) {
        for level in 1..self.cpus as u64 {
            self.level[me].store(level, SeqCst);
            self.victim[level as usize].store(me as u64, SeqCst);
            retry(|| self.may_pass(me, level).then_some(()));
        }
        assert_eq!(self.inside.fetch_add(1, SeqCst), 0, "two are inside");
        self.inside.fetch_sub(1, SeqCst);
        self.level[me].store(0, SeqCst);
    }
    fn device(&self) -> &NoDevice {
        &NoDevice
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("filter", self);
    }
}
