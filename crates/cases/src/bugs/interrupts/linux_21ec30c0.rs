//! A request is stored, a DMB follows, and the interrupt overtakes the store.

use crate::bugs::{Bug, Needs};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use shootdown_explore::Interrupts;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-21ec30c0-gic-dmb",
    id: "F14",
    source: "21ec30c0ef52",
    year: 2018,
    title: "irqchip/gic-v3: Use wmb() instead of smb_wmb() in gic_raise_softirq()",
    arch: "arm64 (GICv3)",
    rules: &[6],
    about: "The barrier before an SGI orders memory accesses, and the SGI is a write to a system register; the target \
            finds no request and goes on.",
    ends: "no CPU can go on: CPU 0 waits for request.request to change from 0x1",
    engine: "aarch64-unmap",
    // A store that waits in a store buffer is enough, where an interrupt may overtake it.
    needs: Needs::StoreBuffer,
    ..Bug::weak(Call::model)
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const SGI: u8 = 0;

/// CPU 0 unmaps a page and has CPU 1 flush by a request that it stores.
#[derive(Debug)]
pub(crate) struct Call {
    variant: Variant,
    machine: Machine,
    request: Word,
}

impl Call {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2).own_page(SPACE, 0, 1).start(1, SPACE, TAG, true).must_free_frame(1);
        machine.runs(|machine| Self { variant, machine, request: Word::new("request.request", 0) })
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::note("request a flush");
        self.request.store(1, Release);
        self.raise_softirq();
        sync::wait_until(|| self.request.load(Acquire) == 0);
        hw::free_frame(1);
    }

    fn raise_softirq(&self) {
        if self.variant == Variant::Fixed {
            hw::dsb()
        } else {
            sync::fence(Release)
        }
        sync::raise(1, SGI);
    }

    /// Does what is asked; an interrupt that finds nothing was for something else.
    fn serve(&self) {
        if self.request.load(Acquire) == 1 {
            hw::flush_page(TAG, 0, WalkCache::Drop);
            self.request.store(0, Release);
        }
    }
}

impl Program for Call {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.unmap();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, SGI), "only CPU 0 calls");
        self.serve();
    }

    fn interrupts(&self) -> Interrupts {
        Interrupts::Overtake
    }
}
