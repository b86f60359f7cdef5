//! A switch waits for the lock of a space whose holder waits for the CPU that switches.

use crate::bugs::Bug;
use crate::protocols::{Lock, MAIL, Mailbox};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "redox-7d42e8d9-switch-lock",
    id: "G26",
    source: "7d42e8d9666f",
    year: 2026,
    title: "fix(switch): deadlock",
    kernel: "Redox",
    arch: "x86",
    rules: &[11],
    about: "A CPU that leaves a space takes its lock, with interrupts off, to clear its bit; the holder \
            of the lock waits for that CPU to flush.",
    ends: "no CPU can go on: CPU 0 waits for mail0to1.request to change from 0x1; CPU 1 waits for space.lock.held to change from 0x1",
    engine: "masked-flushers",
    ..Bug::race(Memory::Tso, SwitchLock::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const CPU1: u64 = 0b10;

/// CPU 0 unmaps a page of the space that both CPUs run. CPU 1 switches to another one.
#[derive(Debug)]
pub(crate) struct SwitchLock {
    variant: Variant,
    machine: Machine,
    lock: Lock,
    /// CPUs that run the space, as bits.
    used_by: Word,
    mail: Mailbox,
}

impl SwitchLock {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, false)
            .must_free_frame(1);
        let used_by = Word::new("space.used_by", 0b11);
        machine.runs(|machine| Self {
            variant,
            machine,
            lock: Lock::new("space.lock.held"),
            used_by,
            mail: Mailbox::new(2),
        })
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.lock.lock();
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        if self.used_by.load(Relaxed) & CPU1 != 0 {
            self.mail.post(0, 1, 1);
            self.mail.wait(0, 1);
        }
        flush(1);
        hw::free_frame(1);
        self.lock.unlock();
    }

    fn switch_away(&self) {
        sync::note("switch to another space");
        if self.variant == Variant::Broken {
            self.lock.lock();
            self.used_by.fetch_and(!CPU1, AcqRel);
            self.lock.unlock();
        } else {
            self.used_by.fetch_and(!CPU1, Relaxed);
            self.mail.serve(1, flush);
        }
        hw::install(None, TAG, Install::FlushAll);
    }
}

fn flush(_: u64) {
    hw::flush_page(TAG, 0, WalkCache::Drop);
}

impl Program for SwitchLock {
    fn main(&self, cpu: usize) {
        let on = sync::irq_save();
        if cpu == 0 {
            self.unmap()
        } else {
            self.switch_away()
        }
        sync::irq_restore(on);
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, MAIL), "only CPU 0 asks");
        self.mail.serve(cpu, flush);
    }
}
