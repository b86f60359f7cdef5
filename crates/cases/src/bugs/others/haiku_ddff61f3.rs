//! A flush of kernel memory asks whether the user space is still the same.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "haiku-ddff61f3-changed-context",
    id: "G28",
    source: "ddff61f30ee1",
    year: 2026,
    title: "kernel/x86: Fix race in kernel TLB invalidation",
    kernel: "Haiku",
    arch: "x86",
    rules: &[4, 8],
    about: "A flush of kernel pages passes on the root register as it read it; interrupted before the \
            comparison, it finds another value and flushes nothing.",
    ends: "CPU 0 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-memory",
    ..Bug::race(Memory::Tso, Context::model)
};

const SPACE: usize = 0;
const TAG: u8 = 1;
const NEW_TAG: u8 = 2;
const SCHEDULE: u8 = 0;
/// Stands for "whatever the root register says".
const ANY: u64 = 0;

/// A thread takes a kernel page away. It is interrupted once, and goes on under another PCID.
#[derive(Debug)]
pub(crate) struct Context {
    variant: Variant,
    machine: Machine,
    /// What the root register says, in software's copy.
    cr3: Word,
}

impl Context {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1)
            .tags(3)
            .kernel_pages(1)
            .translation(1, None, true)
            .map_kernel(0, 1)
            .start(0, SPACE, TAG, false)
            .must_free_frame(1);
        machine.runs(|machine| Self { variant, machine, cr3: Word::new("cpu0.cr3", TAG.into()) })
    }

    fn invalidate(&self, context: u64) {
        if context == ANY || self.cr3.load(Relaxed) == context {
            hw::flush_kernel_page(0);
        }
    }
}

impl Program for Context {
    fn main(&self, _: usize) {
        sync::note("take kernel page 0 away");
        self.machine.tables.kernel(0).store(0, Relaxed);
        sync::fence(SeqCst);
        let context = if self.variant == Variant::Broken { self.cr3.load(Relaxed) } else { ANY };
        self.invalidate(context);
        hw::free_frame(1);
    }

    /// Another thread runs for a while. When this one is back, its space has another PCID.
    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (0, SCHEDULE), "only the timer");
        self.cr3.store(NEW_TAG.into(), Relaxed);
        hw::install(Some(SPACE), NEW_TAG, Install::Keep);
    }

    fn pending_at_start(&self, _: usize) -> u32 {
        1 << SCHEDULE
    }
}
