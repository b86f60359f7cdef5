//! mremap moves an entry and flushes the old address only after it has dropped the page-table locks.

use crate::bug::{Bug, Class, Needs};
use crate::shapes::{CROSS_CALL, CrossCall, Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::{Memory, Registry, Scenario, sync};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-eb66ae03-mremap-flush",
    id: "D1",
    source: "eb66ae030829 (CVE-2018-18281)",
    title: "mremap: properly flush TLB before releasing the page",
    kernel: "Linux",
    arch: "generic",
    class: Class::FlushBeforeFree,
    rules: &[8],
    needs: Needs::Interleaving,
    cpus: 2,
    memory: Memory::Tso,
    about: "mremap moves a page-table entry and drops its locks before it flushes the old address; truncation finds the \
            page at the new address, flushes only that, and frees it.",
    story: include_str!("linux_eb66ae03.md"),
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "two-flushers",
    code: &[("linux_eb66ae03.rs", include_str!("linux_eb66ae03.rs"))],
    build: |variant| Box::new(Mremap::new(variant)),
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const FROM: usize = 0;
const TO: usize = 2;
const TRUNCATOR: usize = 1;
const FLUSH_PAGE: u64 = 1;

/// Two threads of a process, both in a system call: CPU 0 moves a page to another address, CPU 1 truncates the file
/// behind it. Then both go back to user mode.
#[derive(Debug)]
pub(crate) struct Mremap {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// Page-table locks of the old and the new address.
    old: Lock,
    new: Lock,
}

impl Mremap {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine = Machine::builder(2)
            .spaces(1, 2)
            .translation(1, Some(SPACE), true)
            .map(SPACE, FROM, 1)
            .link(SPACE, 1)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, false)
            .must_free_frame(1)
            .build();
        Self {
            variant,
            machine,
            mm: Mm::new(2, 1, 0b11),
            calls: CrossCall::new(2),
            old: Lock::new(),
            new: Lock::new(),
        }
    }

    fn flush(&self, cpu: usize, page: usize) {
        sync::fence(SeqCst);
        self.calls.call(cpu, self.mm.members(), FLUSH_PAGE + page as u64);
        hw::flush_page(TAG, page, WalkCache::Drop);
    }

    fn remap(&self) {
        sync::note("mremap page 0 to page 2");
        self.old.lock();
        self.new.lock();
        let value = self.machine.tables.leaf(SPACE, FROM).swap(0, AcqRel);
        if value != 0 {
            self.machine.tables.leaf(SPACE, TO).store(value, Relaxed);
        }
        if self.variant == Variant::Fixed && value != 0 {
            self.flush(0, FROM);
        }
        self.new.unlock();
        self.old.unlock();
        if self.variant == Variant::Broken && value != 0 {
            sync::note("flush page 0 at last");
            self.flush(0, FROM);
        }
    }

    fn truncate(&self) {
        sync::note("truncate the file");
        for (lock, page) in [(&self.old, FROM), (&self.new, TO)] {
            lock.lock();
            let found = self.machine.tables.leaf(SPACE, page).swap(0, AcqRel) != 0;
            if found {
                self.flush(TRUNCATOR, page);
            }
            lock.unlock();
            if found {
                hw::free_frame(1);
            }
        }
    }
}

impl Scenario for Mremap {
    type Device = Machine;

    fn cpus(&self) -> usize {
        2
    }

    fn main(&self, cpu: usize) {
        if cpu == TRUNCATOR {
            self.truncate()
        } else {
            self.remap()
        }
        sync::note("back to user mode");
        hw::user(true);
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
        self.calls.serve(cpu, |what| hw::flush_page(TAG, (what - FLUSH_PAGE) as usize, WalkCache::Drop));
    }

    fn device(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("mm", &self.mm);
        self.calls.register(registry);
        registry.object("old.ptl", &self.old);
        registry.object("new.ptl", &self.new);
        self.machine.register(registry, &[]);
    }
}
