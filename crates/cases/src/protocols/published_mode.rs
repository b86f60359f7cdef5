//! A virtual CPU publishes whether it runs user code, and one that does not is not interrupted for a flush: it looks
//! for requests on its way back. The cases share this code; Quark's versions differ.
//!
//! CPU 0 unmaps a page and frees it; CPU 1 comes back from the kernel. The initiator waits until the other one has left
//! the guest in every variant. What the handler publishes meanwhile is left out, as there is one request.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::Registry;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, hw};

/// What a virtual CPU does first on its way to user mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// It looks for requests, and publishes "user" then.
    Looks,
    /// It publishes "user", and looks for requests then.
    Publishes,
}

/// What the handler does that finds its virtual CPU in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InKernel {
    /// Nothing: a CPU that is in the kernel will look on its way out.
    Returns,
    /// It looks for requests.
    Looks,
}

/// What the kernel does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) first: First,
    pub(crate) in_kernel: InKernel,
}

const SPACE: usize = 0;
const TAG: u8 = 0;
const IPI: u8 = 0;
const CPU_1: u64 = 1 << 1;
const MODES: &[(u64, &str)] = &[(0, "kernel"), (1, "user")];
const USER: u64 = 1;

#[derive(Debug)]
pub(crate) struct PublishedMode {
    policy: Policy,
    machine: Machine,
    /// CPUs that have to flush before they run user code.
    to_flush: Word,
    /// The mode that CPU 1 publishes.
    mode: Word,
    /// Whether the host has seen CPU 1 leave the guest.
    left: Word,
    /// Whether CPU 1 runs user code, as its handler finds on the stack.
    from_user: Word,
}

impl PublishedMode {
    pub(crate) fn model(policy: Policy) -> Model {
        let machine = Machine::builder(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, false)
            .must_free_frame(1);
        let [to_flush, mode, left, from_user] =
            ["to_flush", "mode", "left", "from_user"].map(|name| Word::new(name, 0));
        machine.runs(|machine| Self { policy, machine, to_flush, mode, left, from_user })
    }

    fn unmap(&self) {
        sync::note("unmap");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_user();
        self.to_flush.fetch_or(CPU_1, AcqRel);
        if self.mode.load(Acquire) == USER {
            sync::raise(1, IPI);
            sync::wait_until(|| self.left.load(Acquire) == 1);
        }
        hw::free_frame(1);
    }

    fn return_to_user(&self) {
        sync::note("back to user mode");
        if self.policy.first == First::Looks {
            self.look();
        }
        self.mode.store(USER, Release);
        if self.policy.first == First::Publishes {
            self.look();
        }
        self.from_user.store(1, Relaxed);
        hw::user(true);
        hw::touch(0);
    }

    fn look(&self) {
        if self.to_flush.fetch_and(!CPU_1, AcqRel) & CPU_1 != 0 {
            hw::flush_user();
        }
    }

    fn interrupted(&self, from_user: bool) {
        self.left.store(1, Release);
        if from_user || self.policy.in_kernel == InKernel::Looks {
            self.look();
        }
    }
}

impl Program for PublishedMode {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.return_to_user() }
    }

    fn interrupt(&self, _cpu: usize, _line: u8) {
        if self.from_user.load(Relaxed) == 0 {
            return self.interrupted(false);
        }
        hw::user(false);
        self.interrupted(true);
        hw::user(true);
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("guest", self);
        registry.mask(&self.to_flush);
        registry.values(&self.mode, MODES);
    }
}
