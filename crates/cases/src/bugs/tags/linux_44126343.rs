//! Broadcast flushes name a PCID on a machine where PCIDs are off.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-44126343-nopcid-broadcast",
    id: "C11",
    source: "44126343d58c (CVE-2026-64229)",
    year: 2026,
    title: "x86/mm: Disable broadcast TLB flush when PCID is disabled",
    arch: "x86",
    rules: &[12],
    about: "With PCIDs turned off, busy spaces are still given a global PCID and flushed by broadcast under it, \
            which the processor refuses.",
    ends: "CPU 0 broadcasts a flush of a PCID where PCIDs are off: a general protection fault",
    engine: "asid-broadcast",
    ..Bug::race(Memory::Tso, NoPcid::model)
};

const SPACE: usize = 0;
const NO_TAG: u8 = 0;
/// Tag that a space gets when it is to be flushed by broadcast.
const GLOBAL_TAG: u8 = 1;
/// A space that runs on so many CPUs is flushed by broadcast.
const BUSY: u32 = 2;
const FLUSH: u64 = 1;
/// The administrator has turned them off.
const HAS_PCID: bool = false;

/// Two threads of a space run on a machine whose administrator has turned PCIDs off; one copies a page on write.
#[derive(Debug)]
pub(crate) struct NoPcid {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl NoPcid {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), false)
            .translation(2, Some(SPACE), true)
            .map(SPACE, 0, 1)
            .start(0, SPACE, NO_TAG, true)
            .start(1, SPACE, NO_TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self { variant, machine, mm: Mm::new(2, 1, 0b11), calls: CrossCall::new(2) })
    }

    /// Whether the processor has the broadcast instruction, and what it takes to use it.
    fn can_broadcast(&self) -> bool {
        let has_instruction = true;
        if self.variant == Variant::Fixed { has_instruction && HAS_PCID } else { has_instruction }
    }

    fn copy_on_write(&self) {
        sync::note("copy page 0 on write");
        self.machine.tables.leaf(SPACE, 0).store(2, Relaxed);
        sync::fence(SeqCst);
        let members = self.mm.members();
        if self.can_broadcast() && members.count_ones() >= BUSY {
            let words = "CPU 0 broadcasts a flush of a PCID where PCIDs are off: a general protection fault";
            sync::demand(HAS_PCID, words);
            hw::broadcast(Whose::Tag(GLOBAL_TAG), Which::Page(0, WalkCache::Drop));
        } else {
            self.calls.call(0, members, FLUSH);
            hw::flush_page(NO_TAG, 0, WalkCache::Drop);
        }
        hw::free_frame(1);
    }
}

impl Program for NoPcid {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.copy_on_write();
        } else {
            hw::touch(0);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(NO_TAG, 0, WalkCache::Drop));
    }
}
