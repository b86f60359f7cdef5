//! An address is flushed where it is given back, and not where it is used next.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "microv-4a75d064-reused-address",
    id: "G74",
    source: "4a75d064b0f734ea81cc88d17f58f5cee5e93c08 (PR 7)",
    year: 2021,
    title: "vmm: Fix TLB invalidation bug",
    kernel: "Bareflank MicroV",
    arch: "x86",
    rules: &[8],
    about: "A monitor flushes an address on the CPU that gives it back; the CPU that takes it next may have read the \
            old entry by speculation.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "kernel-gather",
    ..Bug::race(Memory::Tso, Maps::model)
};

/// The monitor's page tables, which all CPUs have loaded. A CPU that uses no mapping counts as lazy there.
const MONITOR: usize = 0;
const TAG: u8 = 0;
const OLD: u64 = 1;
const NEW: u64 = 2;

/// CPU 0 gives an address back, CPU 1 takes it.
#[derive(Debug)]
struct Maps {
    variant: Variant,
    machine: Machine,
    /// Whether the address is in the pool.
    pool: Word,
}

impl Maps {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .own_page(MONITOR, 0, 1)
            .translation(2, Some(MONITOR), true)
            .start(0, MONITOR, TAG, true)
            .start(1, MONITOR, TAG, false);
        machine.runs(|machine| Self { variant, machine, pool: Word::new("pool.free", 0) })
    }

    fn give_back(&self) {
        sync::note("unmap");
        hw::user(false);
        self.machine.tables.leaf(MONITOR, 0).store(0, Relaxed);
        if self.variant == Variant::Broken {
            hw::flush_page(TAG, 0, WalkCache::Drop);
        }
        sync::note("give the address back");
        self.pool.store(1, Release);
    }

    fn take(&self) {
        sync::note("take an address");
        sync::wait_until(|| self.pool.load(Acquire) == 1);
        if self.variant == Variant::Fixed {
            hw::flush_page(TAG, 0, WalkCache::Drop);
        }
        sync::note("map another page there");
        self.machine.tables.leaf(MONITOR, 0).store(NEW, Relaxed);
        hw::revoke(OLD);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Maps {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.give_back() } else { self.take() }
    }
}
