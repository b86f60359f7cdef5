//! A page of kernel memory, which every CPU may use, is unmapped. The cases share this code; kernels differ in which
//! CPUs their flush reaches, and in whether it reaches translations that belong to no tag.

use super::{CROSS_CALL, CrossCall};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program};

/// The CPUs that the flush reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This CPU.
    Here,
    /// This CPU, and the others by a call that has them drop these translations.
    Call(Whose),
    /// All CPUs, by a broadcast that drops these.
    Broadcast(Whose),
}

/// The tag that is in use everywhere. Kernel pages are under none.
pub(crate) const TAG: u8 = 0;
const FLUSH: u64 = 1;

/// CPU 0 takes the page away. CPU 1 is in the kernel.
#[derive(Debug)]
pub(crate) struct KernelUnmap {
    machine: Machine,
    reach: Reach,
    calls: CrossCall,
}

impl KernelUnmap {
    pub(crate) fn model(reach: Reach) -> Model {
        let machine = Machine::builder(2)
            .kernel_pages(1)
            .translation(1, None, true)
            .map_kernel(0, 1)
            .must_free_frame(1);
        machine.runs(|machine| Self { machine, reach, calls: CrossCall::new(2) })
    }

    fn unmap(&self) {
        self.machine.tables.kernel(0).store(0, Relaxed);
        sync::fence(SeqCst);
        match self.reach {
            Reach::Here => hw::flush_kernel_page(0),
            Reach::Call(_) => {
                hw::flush_kernel_page(0);
                self.calls.call(0, 0b11, FLUSH);
            }
            Reach::Broadcast(whose) => hw::broadcast(whose, Which::Page(0, WalkCache::Keep)),
        }
        hw::free_frame(1);
    }

    fn serve(&self) {
        match self.reach {
            Reach::Call(Whose::Kernel) => hw::flush_kernel_page(0),
            _ => hw::flush_page(TAG, 0, WalkCache::Drop),
        }
    }
}

impl Program for KernelUnmap {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            sync::note("take kernel page 0 away");
            self.unmap();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| self.serve());
    }
}
