//! The notifier skips roots that are about to go; one of them is still being worked on.

use crate::bugs::Bug;
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "linux-d62007ed-kvm-zap-roots",
    id: "D27",
    source: "d62007edf01f (CVE-2021-47639)",
    year: 2022,
    title: "KVM: x86/mmu: Zap _all_ roots when unmapping gfn range in TDP MMU",
    arch: "x86 (KVM)",
    rules: &[8, 10],
    about: "KVM takes a root of a guest's tables apart in steps; the notifier, called as a page goes, skips that \
            root as invalid, and the page is freed and then marked dirty by the first.",
    ends: "CPU 0 uses frame 1, which was freed (SD-8)",
    engine: "lazy-vs-final-drop",
    ..Bug::race(Memory::Tso, Zap::model)
};

const SPACE: usize = 0;
const PAGE: u64 = 1;

/// CPU 0 takes a root of a guest's tables apart, which no virtual CPU uses any more; it drops the lock now and then.
/// CPU 1 takes a page away from the guest, on behalf of the host.
#[derive(Debug)]
pub(crate) struct Zap {
    variant: Variant,
    machine: Machine,
    lock: Lock,
    /// Whether virtual CPUs may use the root.
    valid: Word,
}

impl Zap {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine =
            Machine::builder(2).translation(1, Some(SPACE), true).map(SPACE, 0, PAGE).must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            lock: Lock::new("mmu_lock.held"),
            valid: Word::new("root.valid", 1),
        })
    }

    /// Clears the entry; a page that it mapped is marked dirty, as the guest may have written to it.
    fn clear(&self) {
        let value = self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        if value != 0 {
            sync::note("mark the page dirty");
            hw::access(SPACE, value);
        }
    }

    fn take_apart(&self) {
        sync::note("zap the root");
        self.lock.lock();
        self.valid.store(0, Relaxed);
        self.lock.unlock();
        sync::note("let others have the lock, go on");
        self.lock.lock();
        self.clear();
        self.lock.unlock();
    }

    fn notify(&self) {
        sync::note("notifier: the page goes");
        self.lock.lock();
        let skipped = match self.variant {
            Variant::Broken => self.valid.load(Relaxed) == 0,
            _ => false,
        };
        if !skipped {
            self.clear();
        }
        self.lock.unlock();
        hw::free_frame(1);
    }
}

impl Program for Zap {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.take_apart() } else { self.notify() }
    }
}
