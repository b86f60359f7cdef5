//! A CPU flushes when it enters the kernel, and only then says that it wants to be told of flushes.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall};
use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Privilege, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-defer-v7-flush-first",
    id: "F11",
    source: "RFC v7 28/31 to 30/31 (20251114151428.1064524-9-vschneid@redhat.com), posted 2025-11-14, and the review \
             of 2025-11-22",
    year: 2025,
    title: "x86/mm/pti: Implement a TLB flush immediately after a switch to kernel CR3",
    kernel: "Linux (patches, not merged)",
    arch: "x86 (page-table isolation)",
    rules: &[5, 8],
    about: "An entry loads the kernel's root, flushes, and then marks the CPU as one to interrupt: between the two it \
            may fill again, and a CPU that unmaps something sends it no IPI.",
    ends: "CPU 1 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "lazy-return",
    // Each side changes one word and reads the other behind a locked instruction, which is a full barrier on x86 and nowhere else.
    fixed_under: Memory::Pso,
    ..Bug::race(Memory::Tso, Coalesce::model)
};

/// A process has two roots: one with the kernel, and one without it for user mode.
const PROCESS: usize = 0;
const USER_ROOT: usize = 1;
const TAG: u8 = 0;
const CPU: usize = 1;
const FLUSH: u64 = 1;

/// CPU 0 takes a kernel page away. CPU 1 runs user code, makes a system call, and goes back.
#[derive(Debug)]
pub(crate) struct Coalesce {
    variant: Variant,
    machine: Machine,
    /// Whether CPU 1 has the kernel's root loaded, and so wants to be interrupted.
    loaded: Word,
    calls: CrossCall,
}

impl Coalesce {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .spaces(2, 1)
            .same_space(USER_ROOT, PROCESS)
            .kernel_pages(1)
            .kernel_entry_per_root(&[USER_ROOT])
            .translation(1, None, true)
            .map_kernel(0, 1)
            .start(CPU, USER_ROOT, TAG, true)
            .user_code(CPU)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            loaded: Word::new("cpu1.kernel_root_loaded", 0),
            calls: CrossCall::new(2),
        })
    }

    fn vunmap(&self) {
        sync::note("vunmap kernel page 0");
        self.machine.tables.kernel(0).swap(0, AcqRel);
        hw::flush_kernel_page(0);
        if self.loaded.load(Relaxed) == 1 {
            self.calls.call(0, 1 << CPU, FLUSH);
        }
        hw::free_frame(1);
    }

    fn enter(&self) {
        hw::install(Some(PROCESS), TAG, Install::Keep);
        if self.variant == Variant::Broken {
            hw::flush_all();
            self.loaded.store(1, Relaxed);
        } else {
            // A locked operation, so that a CPU that takes a page away later sees it.
            self.loaded.swap(1, AcqRel);
            hw::flush_all();
        }
        hw::privilege(Privilege::Kernel);
    }

    fn exit(&self) {
        hw::privilege(Privilege::User);
        self.loaded.store(0, Relaxed);
        hw::install(Some(USER_ROOT), TAG, Install::Keep);
    }
}

impl Program for Coalesce {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.vunmap();
        } else {
            sync::note("system call");
            self.enter();
            self.exit();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (CPU, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_kernel_page(0));
    }
}
