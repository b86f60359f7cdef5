//! A remote call by arguments, a flag, and an interrupt. The target serves it when it is interrupted or when, waiting
//! for the kernel lock, it sees the flag. The cases share this code; versions differ in their barriers.
//!
//! CPU 0 holds the kernel lock and unmaps a page. CPU 1 runs a user thread of the space, which may enter the kernel.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::Interrupts;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program};

/// How the flag is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    /// Like any word.
    Plain,
    /// After the arguments.
    AfterArguments,
}

/// What comes between the stores and the interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// One that orders memory accesses with each other (DMB).
    Orders,
    /// One that waits until the stores are complete (DSB).
    Completes,
}

/// What a kernel does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) flag: Flag,
    pub(crate) barrier: Barrier,
    /// Whether CPU 1's thread makes a system call.
    pub(crate) enters_kernel: bool,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const IPI: u8 = 0;
/// What the argument still holds: an earlier call's page.
const EARLIER: u64 = 1;

/// The one call that can be under way, as the kernel lock is held meanwhile.
#[derive(Debug)]
struct Call {
    page: Word,
    pending: Word,
}

#[derive(Debug)]
pub(crate) struct FlaggedCall {
    policy: Policy,
    machine: Machine,
    call: Call,
    kernel_lock: Word,
}

impl FlaggedCall {
    pub(crate) fn model(policy: Policy) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, false)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            policy,
            machine,
            call: Call { page: Word::new("call.page", EARLIER), pending: Word::new("call.pending", 0) },
            kernel_lock: Word::new("node.kernel_lock", 1),
        })
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        sync::note("remote call");
        self.remote_flush(0);
        hw::flush_page(TAG, 0, WalkCache::Drop);
        hw::free_frame(1);
        self.kernel_lock.store(0, Release);
    }

    fn remote_flush(&self, page: usize) {
        self.call.page.store(page as u64, Relaxed);
        let order = match self.policy.flag {
            Flag::Plain => Relaxed,
            Flag::AfterArguments => Release,
        };
        self.call.pending.store(1, order);
        match self.policy.barrier {
            Barrier::Orders => sync::fence(Release),
            Barrier::Completes => hw::dsb(),
        }
        sync::raise(1, IPI);
        sync::wait_until(|| self.call.pending.load(Acquire) == 0);
    }

    /// Serves the call if there is one; an interrupt may come late, when it has been served already.
    fn serve(&self) {
        if self.call.pending.load(Acquire) != 0 {
            let page = self.call.page.load(Relaxed) as usize;
            hw::flush_page(TAG, page, WalkCache::Drop);
            self.call.pending.store(0, Release);
        }
    }

    fn system_call(&self) {
        sync::note("system call");
        let on = sync::irq_save();
        hw::user(false);
        let locked = || self.kernel_lock.load(Acquire) != 0;
        sync::wait_until(|| self.call.pending.load(Acquire) != 0 || !locked());
        self.serve();
        sync::wait_until(|| !locked());
        sync::note("back to user mode");
        hw::user(true);
        sync::irq_restore(on);
    }
}

impl Program for FlaggedCall {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        } else if self.policy.enters_kernel {
            self.system_call();
        } else {
            hw::touch(0);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, IPI), "only CPU 0 calls");
        self.serve();
    }

    /// GICv3 sends them by a register of the CPU.
    fn interrupts(&self) -> Interrupts {
        Interrupts::Overtake
    }
}
