//! The moved page: CPU 0 moves an entry from one address to another under a lock, and flushes the old address. CPU 1
//! takes the page away: it finds it at the new address, flushes that, and lets the page go. The cases share this code;
//! bugs differ in whose TLB holds the old address, and fixes in what keeps the page until it is flushed.

use super::{CROSS_CALL, CrossCall, Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// When CPU 0 flushes the old address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Before it drops the lock.
    BeforeUnlock,
    /// After, and nothing keeps the page until then.
    AfterUnlock,
    /// After, and it holds a reference to the page until then.
    AfterUnlockWithReference,
}

/// The users of translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// Both CPUs run threads of the process, and go back to user mode in the end.
    Threads,
    /// A device, which walks the tables under a tag of its own, all the time. It stands as a third CPU.
    Device,
}

/// The parts that CPUs play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// What CPU 0 and CPU 1 do, in words.
    pub(crate) words: [&'static str; 2],
    pub(crate) flush: Flush,
    pub(crate) user: User,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const DEVICE_TAG: u8 = 1;
const FROM: usize = 0;
const TO: usize = 2;
const REMOVER: usize = 1;
const DEVICE: usize = 2;
const FLUSH_PAGE: u64 = 1;

#[derive(Debug)]
pub(crate) struct MovedPage {
    policy: Policy,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// Locks of the tables of the old and of the new address.
    old: Lock,
    new: Lock,
    /// What keeps the page: its mapping holds one reference.
    refs: Word,
}

impl MovedPage {
    pub(crate) fn model(policy: Policy) -> Model {
        let (cpus, tags) = if policy.user == User::Device { (3, 2) } else { (2, 1) };
        let mut machine = Machine::builder(cpus)
            .spaces(1, 2)
            .tags(tags)
            .own_page(SPACE, FROM, 1)
            .link(SPACE, TO / 2)
            .must_free_frame(1);
        if policy.user == User::Device {
            machine = machine.start(DEVICE, SPACE, DEVICE_TAG, true);
        } else {
            machine = machine.start(0, SPACE, TAG, false).start(REMOVER, SPACE, TAG, false);
        }
        machine.runs(|machine| Self {
            policy,
            machine,
            mm: Mm::new(2, 1, 0b11),
            calls: CrossCall::new(2),
            old: Lock::new("old.ptl.held"),
            new: Lock::new("new.ptl.held"),
            refs: Word::new("page.refs", 1),
        })
    }

    fn flush(&self, cpu: usize, page: usize) {
        sync::fence(SeqCst);
        if self.policy.user == User::Device {
            hw::broadcast(Whose::Tag(DEVICE_TAG), Which::Page(page, WalkCache::Drop));
        } else {
            self.calls.call(cpu, self.mm.members(), FLUSH_PAGE + page as u64);
            hw::flush_page(TAG, page, WalkCache::Drop);
        }
    }

    fn put(&self) {
        if self.refs.fetch_sub(1, AcqRel) == 1 {
            hw::free_frame(1);
        }
    }

    fn relocate(&self) {
        sync::note(self.policy.words[0]);
        self.old.lock();
        self.new.lock();
        let value = self.machine.tables.leaf(SPACE, FROM).swap(0, AcqRel);
        if value != 0 {
            self.machine.tables.leaf(SPACE, TO).store(value, Relaxed);
            match self.policy.flush {
                Flush::BeforeUnlock => self.flush(0, FROM),
                Flush::AfterUnlock => {}
                Flush::AfterUnlockWithReference => drop(self.refs.fetch_add(1, Relaxed)),
            }
        }
        self.new.unlock();
        self.old.unlock();
        if value == 0 || self.policy.flush == Flush::BeforeUnlock {
            return;
        }
        sync::note("flush the old address at last");
        self.flush(0, FROM);
        if self.policy.flush == Flush::AfterUnlockWithReference {
            self.put();
        }
    }

    fn remove(&self) {
        sync::note(self.policy.words[1]);
        for (lock, page) in [(&self.old, FROM), (&self.new, TO)] {
            lock.lock();
            let found = self.machine.tables.leaf(SPACE, page).swap(0, AcqRel) != 0;
            if found {
                self.flush(REMOVER, page);
            }
            lock.unlock();
            if found {
                self.put();
            }
        }
    }
}

impl Program for MovedPage {
    fn main(&self, cpu: usize) {
        match cpu {
            DEVICE => return,
            REMOVER => self.remove(),
            _ => self.relocate(),
        }
        if self.policy.user == User::Threads {
            sync::note("back to user mode");
            hw::user(true);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
        self.calls.serve(cpu, |what| hw::flush_page(TAG, (what - FLUSH_PAGE) as usize, WalkCache::Drop));
    }
}
