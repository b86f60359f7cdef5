//! A guest's VMID generation is published before its VMID: a virtual CPU enters with the new one and the old other.

use crate::bugs::{Bug, Stage};
use crate::protocols::Lock;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-fb544d1c-kvm-vmid",
    id: "C6",
    source: "fb544d1ca65a",
    year: 2018,
    title: "KVM: arm/arm64: Fix VMID alloc race by reverting to lock-less",
    arch: "arm64",
    rules: &[12],
    about: "A guest's new VMID generation is stored before the VMID: a virtual CPU that checks in between enters \
            with the old one.",
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "vmid-rollover",
    chain: &[
        Stage::wrong(
            "looks-unlocked",
            "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
            || Vmid::model(Update::LooksUnlocked),
        ),
        Stage::broken("f0cf47d939d0 KVM: arm/arm64: Close VMID generation race"),
        Stage::FIXED,
    ],
    ..Bug::race(Memory::Pso, |variant| {
        Vmid::model(if variant == Variant::Broken { Update::LooksLocked } else { Update::VmidFirst })
    })
};

/// How a guest's VMID is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Update {
    /// Preparations look at the generation without the lock; it is stored before the VMID.
    LooksUnlocked,
    /// They look with the lock, so that they never come in between. The look before entry still does.
    LooksLocked,
    /// No look takes the lock; the VMID is stored before the generation.
    VmidFirst,
}

const GUEST: usize = 0;

/// What the virtual CPUs of a guest share. The VMID is the number of its generation here.
#[derive(Debug)]
struct Guest {
    lock: Lock,
    /// Generation of VMIDs; the host's, shared by all guests.
    current: Word,
    /// Generation that the guest's VMID is of.
    generation: Word,
    vmid: Word,
}

/// CPU 0 has made all preparations to run virtual CPU 0 of the guest, or makes them now, when another guest has used up
/// the VMIDs; then it enters. CPU 1 prepares virtual CPU 1 of the same guest. Then the host takes a page from the
/// guest.
#[derive(Debug)]
struct Vmid {
    update: Update,
    machine: Machine,
    guest: Guest,
}

impl Vmid {
    fn model(update: Update) -> Model {
        let machine = Machine::builder(2).tags(3).own_page(GUEST, 0, 1).must_free_frame(1);
        let guest = Guest {
            lock: Lock::new("guest.held"),
            current: Word::new("guest.current", 2),
            generation: Word::new("guest.generation", 1),
            vmid: Word::new("guest.vmid", 1),
        };
        machine.runs(|machine| Self { update, machine, guest })
    }

    fn is_stale(&self) -> bool {
        self.guest.generation.load(Acquire) != self.guest.current.load(Acquire)
    }

    /// Whether preparations find the VMID stale.
    fn looks_stale(&self) -> bool {
        if self.update != Update::LooksLocked {
            return self.is_stale();
        }
        self.guest.lock.lock();
        let stale = self.is_stale();
        self.guest.lock.unlock();
        stale
    }

    fn prepare(&self) {
        if !self.looks_stale() {
            return;
        }
        self.guest.lock.lock();
        if self.is_stale() {
            let new = self.guest.current.load(Relaxed);
            if self.update != Update::VmidFirst {
                self.guest.generation.store(new, Relaxed);
            }
            self.guest.vmid.store(new, Relaxed);
            if self.update == Update::VmidFirst {
                self.guest.generation.store(new, Release);
            }
        }
        self.guest.lock.unlock();
    }

    /// Enters the guest, if the generation is still the current one; otherwise it would prepare again.
    fn enter(&self) {
        if !self.is_stale() {
            let vmid = self.guest.vmid.load(Relaxed) as u8;
            hw::install(Some(GUEST), vmid, Install::Keep);
            hw::user(true);
        }
    }

    fn take_page(&self) {
        self.machine.tables.leaf(GUEST, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        let vmid = self.guest.vmid.load(Relaxed) as u8;
        hw::broadcast(Whose::Tag(vmid), Which::Page(0, WalkCache::Drop));
        hw::free_frame(1);
    }
}

impl Program for Vmid {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            if sync::choose(2) == 1 {
                sync::note("prepare virtual CPU 0");
                self.prepare();
            }
            sync::note("enter virtual CPU 0");
            return self.enter();
        }
        sync::note("prepare virtual CPU 1");
        self.prepare();
        sync::note("take page 0 from the guest");
        self.take_page();
    }
}
