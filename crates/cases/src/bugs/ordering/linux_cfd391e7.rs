//! A broadcast flush finishes before a store that used the dropped translation has arrived.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::{Memory, sync};
use shootdown_machine::hw::{self, WalkCache, Which, Whose};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-cfd391e7-arm64-early-completion",
    id: "B10",
    source: "cfd391e74134 (CVE-2026-53354, hardware CVE-2025-10263)",
    year: 2026,
    title: "arm64: errata: Mitigate TLBI errata on various Arm CPUs",
    arch: "arm64",
    rules: &[6, 8],
    about: "On some processors a broadcast flush is reported complete while another CPU's store through the dropped \
            translation is still on its way; it lands in a frame that was given away.",
    ends: "an access by CPU 1 may still arrive at frame 1, which was freed (SD-8)",
    engine: "broadcast-fallback",
    ..Bug::race(Memory::Pso, EarlyCompletion::model)
};

const SPACE: usize = 0;
const TAG: u8 = 1;

/// CPU 0 unmaps a page. CPU 1 runs another thread of the space, which writes to it.
#[derive(Debug)]
pub(crate) struct EarlyCompletion {
    variant: Variant,
    machine: Machine,
}

impl EarlyCompletion {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .late_accesses()
            .tags(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1);
        machine.runs(|machine| Self { variant, machine })
    }

    fn unmap(&self) {
        sync::note("munmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        self.flush();
        if self.variant == Variant::Fixed {
            self.flush();
        }
        hw::free_frame(1);
    }

    fn flush(&self) {
        hw::broadcast(Whose::Tag(TAG), Which::Page(0, WalkCache::Drop));
    }
}

impl Program for EarlyCompletion {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { hw::touch(0) }
    }
}
