//! A CPU that waits for a space's lock, interrupts off, does not answer the flush request of the one who holds it.

use crate::bugs::Bug;
use crate::protocols::{MAIL, Mailbox};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "redox-1f8d7bc6-space-lock",
    id: "G5",
    source: "1f8d7bc6",
    year: 2024,
    title: "Always check shootdown reqs when locking addrsp.",
    kernel: "Redox",
    arch: "x86",
    rules: &[11],
    about: "A CPU flushes under a space's lock and waits for one that spins for that lock with interrupts off and \
            serves nothing.",
    ends: "no CPU can go on: CPU 0 waits for mail0to1.request to change from 0x1; CPU 1 waits for space.lock.held to change from 0x1",
    engine: "masked-flushers",
    argued: &[(
        "redox_1f8d7bc6.rs: wait",
        "who finds it taken tries again all the same, and serves requests meanwhile",
    )],
    ..Bug::race(Memory::Tso, SpaceLock::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;

/// Two threads of a process make a system call each, with interrupts off. CPU 0 unmaps a page; CPU 1 wants to look
/// something up in the space.
#[derive(Debug)]
pub(crate) struct SpaceLock {
    variant: Variant,
    machine: Machine,
    mail: Mailbox,
    held: Word,
}

impl SpaceLock {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, false)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            mail: Mailbox::new(2),
            held: Word::new("space.lock.held", 0),
        })
    }

    /// Takes the lock from within its module, where the bare lock is in use before and after the fix.
    fn lock(&self) {
        sync::retry(|| {
            sync::wait_until(|| self.is_free());
            self.try_lock().then_some(())
        });
    }

    /// Takes the lock from elsewhere.
    fn lock_from_outside(&self, me: usize) {
        match self.variant {
            Variant::Broken => self.lock(),
            _ => self.lock_and_serve(me),
        }
    }

    fn lock_and_serve(&self, me: usize) {
        loop {
            sync::wait_until(|| self.is_free() || self.mail.asked(me));
            self.mail.serve(me, flush);
            if self.try_lock() {
                return;
            }
        }
    }

    fn try_lock(&self) -> bool {
        self.held.compare_exchange(0, 1, Acquire, Relaxed).is_ok()
    }

    fn is_free(&self) -> bool {
        self.held.load(Relaxed) == 0
    }

    fn unlock(&self) {
        self.held.store(0, Release);
    }

    fn unmap(&self, me: usize) {
        sync::note("munmap page 0");
        self.lock();
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        self.mail.post(me, 1 - me, 1);
        flush(1);
        self.mail.wait(me, 1 - me);
        hw::free_frame(1);
        self.unlock();
    }

    fn look_up(&self, me: usize) {
        sync::note("look something up");
        self.lock_from_outside(me);
        self.unlock();
    }
}

fn flush(_: u64) {
    hw::flush_page(TAG, 0, WalkCache::Drop);
}

impl Program for SpaceLock {
    fn main(&self, cpu: usize) {
        let on = sync::irq_save();
        if cpu == 0 {
            self.unmap(cpu);
        } else {
            self.look_up(cpu);
        }
        sync::irq_restore(on);
        hw::user(true);
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, MAIL), "only CPU 0 asks");
        self.mail.serve(cpu, flush);
    }
}
