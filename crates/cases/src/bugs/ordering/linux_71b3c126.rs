//! A flush reads the mask before its page-table store has left the store buffer.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-71b3c126-x86-switch-barrier",
    id: "B1",
    source: "71b3c126e611 (CVE-2016-2069)",
    year: 2016,
    title: "x86/mm: Add barriers and document switch_mm()-vs-flush synchronization",
    arch: "x86",
    rules: &[4, 5],
    about: "A CPU that does not run the space changes an entry and reads the mask with no barrier between: a CPU that \
            switches in meanwhile is not in the mask yet and still reads the old entry.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "switch-in/pso",
    ..Bug::delayed_store(Memory::Tso, Flush::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const FLUSH: u64 = 1;
const FLUSHER: usize = 0;
const WRITABLE: u64 = 1;
const READ_ONLY: u64 = 2;

/// CPU 0 write-protects a page of a space that it has not loaded. CPU 1 switches to the space and writes to the page.
#[derive(Debug)]
pub(crate) struct Flush {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl Flush {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .translation(1, Some(SPACE), false)
            .map(SPACE, 0, WRITABLE);
        machine.runs(|machine| Self { variant, machine, mm: Mm::new(1, 1, 0), calls: CrossCall::new(2) })
    }

    fn write_protect(&self) {
        sync::note("write-protect page 0");
        self.machine.tables.leaf(SPACE, 0).store(READ_ONLY, Relaxed);
        self.flush_range();
        hw::revoke(WRITABLE);
    }

    /// A thread of the space would flush here first, which waits for the store buffer. The branches for a CPU on which
    /// another space is active, and for a lazy one that has left the space before, have nothing to flush here.
    fn flush_range(&self) {
        if self.variant == Variant::Fixed {
            sync::fence(SeqCst);
        }
        self.calls.call(FLUSHER, self.mm.members(), FLUSH);
    }

    /// The bit is set by a locked instruction, and the root load is serialising: this side was in order before.
    fn switch_in(&self, cpu: usize) {
        sync::note("switch to the space");
        let on = sync::irq_save();
        self.mm.join(cpu);
        sync::fence(SeqCst);
        hw::install(Some(SPACE), TAG, Install::FlushTag);
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Flush {
    fn main(&self, cpu: usize) {
        if cpu == FLUSHER { self.write_protect() } else { self.switch_in(cpu) }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }
}
