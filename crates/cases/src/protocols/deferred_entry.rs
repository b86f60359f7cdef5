//! A page of kernel memory is taken away, and a CPU that runs user code is left to flush when it next enters the
//! kernel. The cases share this code; versions of a series differ in when they take a CPU for one that runs user code.

use super::{CROSS_CALL, CrossCall};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw;
use shootdown_machine::{Machine, Model, Privilege, Program};

/// When work may be left to a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defer {
    /// Whenever its word could be changed, whatever it says.
    Always,
    /// Unless its thread is in the kernel.
    UnlessKernel,
    /// Unless it runs kernel code of any kind, an NMI's too.
    UnlessWatching,
}

/// What enters the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The thread, by a system call.
    SystemCall,
    /// An NMI besides.
    Nmi,
}

const CPU: usize = 1;
const NMI: u8 = 1;
const FLUSH: u64 = 1;
/// Bits of the context word: the thread is in the kernel, RCU watches this CPU, a flush is to be made at the next
/// entry.
const KERNEL: u64 = 1;
const WATCHING: u64 = 2;
const WORK: u64 = 4;

/// CPU 0 takes the page away. CPU 1 runs user code, enters the kernel, and goes back.
#[derive(Debug)]
pub(crate) struct DeferredEntry {
    machine: Machine,
    defer: Defer,
    entry: Entry,
    /// Context of CPU 1.
    context: Word,
    calls: CrossCall,
}

impl DeferredEntry {
    pub(crate) fn model(defer: Defer, entry: Entry) -> Model {
        let machine = Machine::builder(2)
            .kernel_pages(1)
            .translation(1, None, true)
            .map_kernel(0, 1)
            .user_code(CPU)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            machine,
            defer,
            entry,
            context: Word::new("cpu1.context", 0),
            calls: CrossCall::new(2),
        })
    }

    fn vunmap(&self) {
        sync::note("vunmap kernel page 0");
        self.machine.tables.kernel(0).swap(0, AcqRel);
        hw::flush_kernel_page(0);
        if !self.leaves_work() {
            self.calls.call(0, 1 << CPU, FLUSH);
        }
        hw::free_frame(1);
    }

    /// Leaves the flush to CPU 1; answers whether that was possible.
    fn leaves_work(&self) -> bool {
        let in_kernel = |context: u64| match self.defer {
            Defer::Always | Defer::UnlessKernel => context & KERNEL != 0,
            Defer::UnlessWatching => context & WATCHING != 0,
        };
        let seen = self.context.load(Relaxed);
        let mut wanted = match self.defer {
            Defer::Always => seen,
            Defer::UnlessKernel => seen & !KERNEL,
            Defer::UnlessWatching => seen & !WATCHING,
        };
        // Ends when CPU 1 has ended: an exchange fails only if CPU 1 has changed its word.
        loop {
            match self.context.compare_exchange(wanted, wanted | WORK, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) if in_kernel(now) => return false,
                Err(now) => wanted = now,
            }
        }
    }

    /// Kernel code runs with `bits` set in the context; what was left to this CPU comes first.
    fn enter(&self, bits: u64) {
        let context = self.context.fetch_or(bits, AcqRel);
        if context & WORK != 0 {
            hw::flush_all();
        }
        hw::privilege(Privilege::Kernel);
    }

    fn exit(&self, bits: u64) {
        hw::privilege(Privilege::User);
        self.context.fetch_and(!(bits | WORK), AcqRel);
    }
}

impl Program for DeferredEntry {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.vunmap();
        } else {
            sync::note("system call");
            self.enter(KERNEL | WATCHING);
            self.exit(KERNEL | WATCHING);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        match line {
            CROSS_CALL => self.calls.serve(cpu, |_| hw::flush_kernel_page(0)),
            // On top of kernel code it changes nothing.
            _ if self.context.load(Relaxed) & WATCHING != 0 => {}
            _ => {
                sync::note("NMI");
                self.enter(WATCHING);
                self.exit(WATCHING);
            }
        }
    }

    fn pending_at_start(&self, cpu: usize) -> u32 {
        u32::from(cpu == CPU && self.entry == Entry::Nmi) << NMI
    }

    fn non_maskable(&self) -> u32 {
        1 << NMI
    }
}
