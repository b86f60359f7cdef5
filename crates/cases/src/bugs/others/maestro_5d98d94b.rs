//! A large range of kernel pages is flushed by a full flush, which keeps global entries.

use crate::bugs::boxed;
use crate::bugs::{Bug, code};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::sync;
use shootdown_machine::{Machine, Program, Variant, hw};

pub(super) const BUG: Bug = Bug {
    name: "maestro-5d98d94b-global-range",
    id: "G18b",
    source: "5d98d94b",
    title: "fix: kernelspace TLB shootdown",
    kernel: "Maestro",
    arch: "x86",
    rules: &[8, 14],
    cpus: 1,
    about: "A range of kernel pages above the threshold is flushed by reloading the root, which keeps global \
            entries.",
    story: include_str!("maestro_5d98d94b.md"),
    ends: "CPU 0 can still use kernel page 0 -> frame 1, which was freed (SD-8)",
    engine: "kernel-memory",
    code: code!["maestro_5d98d94b.rs"],
    build: |variant| boxed(DropMmio::new(variant)),
    ..super::CLASS
};

const PAGES: usize = 2;
/// Ranges of more pages than this are flushed as a whole.
const THRESHOLD: usize = 1;

/// A driver gives back the addresses at which it had its device's registers, and the frames behind them.
#[derive(Debug)]
pub(crate) struct DropMmio {
    variant: Variant,
    machine: Machine,
}

impl DropMmio {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine = Machine::builder(1)
            .kernel_pages(PAGES)
            .translation(1, None, true)
            .translation(2, None, true)
            .map_kernel(0, 1)
            .map_kernel(1, 2)
            .must_free_frame(1)
            .must_free_frame(2)
            .build();
        Self { variant, machine }
    }

    fn flush_range(&self, pages: usize) {
        let reload_root = match self.variant {
            Variant::Broken => pages > THRESHOLD,
            _ => false,
        };
        if reload_root {
            return hw::flush_user();
        }
        for page in 0..pages {
            hw::flush_kernel_page(page);
        }
    }
}

impl Program for DropMmio {
    fn main(&self, _: usize) {
        sync::note("unmap two kernel pages");
        for page in 0..PAGES {
            self.machine.tables.kernel(page).store(0, Relaxed);
        }
        sync::fence(SeqCst);
        self.flush_range(PAGES);
        for page in 0..PAGES {
            hw::free_frame(page + 1);
        }
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }
}
