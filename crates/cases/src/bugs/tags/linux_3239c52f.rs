//! A virtual CPU comes back to a CPU that still has results of the guest's own stage.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Combined, Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-3239c52f-split-tlb",
    id: "C25",
    source: "3239c52fd212",
    year: 2025,
    title: "RISC-V: KVM: Flush VS-stage TLB after VCPU migration for Andes cores",
    arch: "riscv (Andes AX66)",
    rules: &[12],
    about: "A virtual CPU that changes CPUs has entries of the second stage dropped; cores that keep the first \
            stage apart go on with mappings that the guest has flushed elsewhere.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1 writable, which was revoked (SD-8)",
    engine: "tag-reuse",
    ..Bug::race(Memory::Pso, Migration::model)
};

const GUEST: usize = 0;
const VM: u8 = 1;
const NO_TAG: u8 = 0;

/// A virtual CPU runs on CPU 1, then on CPU 0, and then on CPU 1 again.
#[derive(Debug)]
pub(crate) struct Migration {
    variant: Variant,
    machine: Machine,
    /// Where the virtual CPU may run next.
    turn: Word,
}

impl Migration {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .tags(2)
            .translation(1, Some(GUEST), true)
            .translation(2, Some(GUEST), true)
            .second_stage(VM, Combined::Go, &[1, 2])
            .keeps_first_stage()
            .map(GUEST, 0, 1)
            .start(1, GUEST, VM, true);
        machine.runs(|machine| Self { variant, machine, turn: Word::new("vcpu.turn", 1) })
    }

    /// The guest has page 0 lead to its page 2, and flushes where it runs.
    fn remap(&self) {
        sync::wait_until(|| self.turn.load(Acquire) == 0);
        self.enter();
        sync::note("guest: remap page 0, sfence.vma");
        self.machine.tables.leaf(GUEST, 0).swap(2, AcqRel);
        hw::flush_page(VM, 0, WalkCache::Keep);
        hw::revoke(1);
        self.exit(1);
    }

    fn leave_and_return(&self) {
        self.exit(0);
        sync::wait_until(|| self.turn.load(Acquire) == 1);
        self.enter();
    }

    /// The virtual CPU runs here, and ran elsewhere before.
    fn enter(&self) {
        sync::note("run the virtual CPU");
        hw::flush_guest_page(1);
        hw::flush_guest_page(2);
        if self.variant == Variant::Fixed {
            hw::flush_tag(VM);
        }
        hw::install(Some(GUEST), VM, Install::Keep);
        hw::user(true);
    }

    fn exit(&self, next: u64) {
        hw::user(false);
        hw::install(None, NO_TAG, Install::Keep);
        self.turn.store(next, Release);
    }
}

impl Program for Migration {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.remap() } else { self.leave_and_return() }
    }
}
