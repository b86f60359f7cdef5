//! A fault looks at two words of the notifier without the lock, and nothing orders the two looks.

use crate::bugs::{Bug, Needs};
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-a355aa54-kvm-lockless-retry",
    id: "B16",
    source: "a355aa54f1d2",
    year: 2012,
    title: "KVM: Add barriers to allow mmu_notifier_retry to be used locklessly",
    arch: "powerpc",
    rules: &[4],
    about: "A guest's fault reads that no invalidation is under way, then that none has ended since it began; with no \
            barrier the second look may be the older one, and a page that is gone is mapped.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in/weak",
    // Stores that pass each other are enough: the count falls before the number has grown.
    needs: Needs::StoreOrder,
    ..Bug::weak(Fault::model)
};

const GUEST: usize = 0;
const TAG: u8 = 0;
const PAGE: u64 = 1;

/// CPU 0 takes a page from the host's process. CPU 1 runs the guest, which has just touched the page.
#[derive(Debug)]
pub(crate) struct Fault {
    variant: Variant,
    machine: Machine,
    /// The host's own entry.
    host: Word,
    count: Word,
    sequence: Word,
    /// Of the one entry of the guest's table.
    entry_lock: Lock,
}

impl Fault {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(GUEST), true)
            .link(GUEST, 0)
            .start(1, GUEST, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            host: Word::new("host.host entry", PAGE),
            count: Word::new("notifier.count.count", 0),
            sequence: Word::new("notifier.sequence.sequence", 0),
            entry_lock: Lock::new("entry_lock.held"),
        })
    }

    fn is_mended(&self) -> bool {
        self.variant == Variant::Fixed
    }

    /// The notifier's start, the host's own change, and the notifier's end.
    fn invalidate(&self) {
        sync::note("invalidate_range_start");
        self.count.store(1, Relaxed);
        self.entry_lock.lock();
        self.machine.tables.leaf(GUEST, 0).store(0, Relaxed);
        hw::broadcast(hw::Whose::Users, hw::Which::Page(0, WalkCache::Drop));
        self.entry_lock.unlock();
        self.host.store(0, Relaxed);
        sync::note("invalidate_range_end");
        self.sequence.store(1, Release);
        if self.is_mended() {
            sync::fence(Release);
        }
        self.count.store(0, Relaxed);
        hw::free_frame(1);
    }

    fn fault(&self) {
        sync::note("fault on page 0");
        let before = self.sequence.load(Acquire);
        let page = self.host.load(Relaxed);
        if page == 0 {
            return;
        }
        self.entry_lock.lock();
        if !self.must_retry(before) {
            self.machine.tables.leaf(GUEST, 0).store(page, Relaxed);
        }
        self.entry_lock.unlock();
    }

    fn must_retry(&self, before: u64) -> bool {
        if self.count.load(Relaxed) != 0 {
            return true;
        }
        if self.is_mended() {
            sync::fence(Acquire);
        }
        self.sequence.load(Relaxed) != before
    }
}

impl Program for Fault {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.invalidate() } else { self.fault() }
    }
}
