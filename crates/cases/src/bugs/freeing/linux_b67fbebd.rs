//! munmap of a device mapping unlinks the area before it flushes; the driver then finds nothing left to unmap.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Lock, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-b67fbebd-pfnmap-unlink",
    id: "D3",
    source: "b67fbebd4cf9 (CVE-2022-39188)",
    year: 2022,
    title: "mmu_gather: Force tlb-flush VM_PFNMAP vmas",
    rules: &[8],
    about: "munmap of a device mapping leaves its flush for later but unlinks the area at once; the driver's own unmap \
            finds no area, returns without a flush, and the device's pages are reused.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "nested-gathers",
    ..Bug::race(Memory::Tso, Unlink::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const DRIVER: usize = 1;
const FLUSH: u64 = 1;

/// Two threads of a process, both in a system call: CPU 0 unmaps a device mapping; CPU 1 is in the driver, which takes
/// the page away from all who map it. Then both go back to user mode.
#[derive(Debug)]
pub(crate) struct Unlink {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// Lock of the page table.
    ptl: Lock,
    /// Lock of the file's tree of areas, and whether the area is in it.
    i_mmap: Lock,
    linked: Word,
}

impl Unlink {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, false)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            mm: Mm::new(2, 1, 0b11),
            calls: CrossCall::new(2),
            ptl: Lock::new("ptl.held"),
            i_mmap: Lock::new("i_mmap.held"),
            linked: Word::new("file.area", 1),
        })
    }

    fn flush(&self, cpu: usize) {
        sync::fence(SeqCst);
        self.calls.call(cpu, self.mm.members(), FLUSH);
        hw::flush_page(TAG, 0, WalkCache::Drop);
    }

    fn zap(&self) {
        self.ptl.lock();
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        self.ptl.unlock();
    }

    fn unmap(&self) {
        sync::note("munmap page 0");
        self.zap();
        if self.variant == Variant::Fixed {
            self.flush(0);
        }
        sync::note("unlink the area");
        self.i_mmap.lock();
        self.linked.store(0, Relaxed);
        self.i_mmap.unlock();
        if self.variant == Variant::Broken {
            sync::note("flush what was gathered");
            self.flush(0);
        }
    }

    fn revoke(&self) {
        sync::note("driver takes the page back");
        self.i_mmap.lock();
        if self.linked.load(Relaxed) != 0 {
            self.zap();
            self.flush(DRIVER);
        }
        self.i_mmap.unlock();
        hw::free_frame(1);
    }
}

impl Program for Unlink {
    fn main(&self, cpu: usize) {
        if cpu == DRIVER {
            self.revoke()
        } else {
            self.unmap()
        }
        sync::note("back to user mode");
        hw::user(true);
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }
}
