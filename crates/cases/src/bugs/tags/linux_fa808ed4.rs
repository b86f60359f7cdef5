//! A virtual CPU loads its guest's root before the guest has a VMID, and another CPU allocates one.

use crate::bugs::Bug;
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-fa808ed4-kvm-vmid-zero",
    id: "C6b",
    source: "fa808ed4e199",
    year: 2025,
    title: "KVM: arm64: Ensure a VMID is allocated before programming VTTBR_EL2",
    arch: "arm64",
    rules: &[12],
    about: "A virtual CPU loads the root with VMID 0 before one is allocated; when another allocates it, the first \
            skips its reload and runs with 0.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "vmid-rollover",
    ..Bug::race(Memory::Pso, FirstRun::model)
};

const GUEST: usize = 0;
/// No VMID was allocated yet; the hardware takes it for one.
const NONE: u64 = 0;
const FIRST: u64 = 1;

/// Two virtual CPUs of a new guest are run for the first time. Then the host takes a page from the guest.
#[derive(Debug)]
pub(crate) struct FirstRun {
    variant: Variant,
    machine: Machine,
    lock: Lock,
    vmid: Word,
}

impl FirstRun {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).tags(2).own_page(GUEST, 0, 1).must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            lock: Lock::new("vmid_lock.held"),
            vmid: Word::new("guest.vmid", NONE),
        })
    }

    fn run(&self) {
        match self.variant {
            Variant::Broken => {
                self.load_root();
                if self.update_vmid() {
                    self.load_root();
                }
            }
            _ => {
                self.update_vmid();
                self.load_root();
            }
        }
        hw::user(true);
    }

    fn load_root(&self) {
        let vmid = self.vmid.load(Relaxed) as u8;
        hw::install(Some(GUEST), vmid, Install::Keep);
    }

    /// Sees to it that the guest has a VMID; returns whether it is a new one.
    fn update_vmid(&self) -> bool {
        self.lock.lock();
        let fresh = self.vmid.load(Relaxed) == NONE;
        if fresh {
            self.vmid.store(FIRST, Relaxed);
        }
        self.lock.unlock();
        fresh
    }

    fn take_page(&self) {
        self.machine.tables.leaf(GUEST, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        let vmid = self.vmid.load(Relaxed) as u8;
        hw::broadcast(Whose::Tag(vmid), Which::Page(0, WalkCache::Drop));
        hw::free_frame(1);
    }
}

impl Program for FirstRun {
    fn main(&self, cpu: usize) {
        sync::note("run a virtual CPU");
        self.run();
        if cpu == 0 {
            sync::note("take page 0 from the guest");
            hw::user(false);
            self.take_page();
        }
    }
}
