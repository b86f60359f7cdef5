//! The interrupt of a remote call overtakes the stores of its arguments.

use crate::bug::{Bug, Class, Needs};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry, Scenario};
use shootdown_machine::hw::{self, WalkCache};
use shootdown_machine::{Machine, Variant};

pub(super) const BUG: Bug = Bug {
    name: "sel4-b8f1753d-ipi-barrier",
    id: "B9",
    source: "b8f1753d6",
    title: "ipi: add missing barrier and enforce completion",
    kernel: "seL4",
    arch: "arm64 (GICv3)",
    class: Class::Ordering,
    rules: &[6],
    needs: Needs::StoreBuffer,
    cpus: 2,
    memory: Memory::Pso,
    about: "The arguments of a remote flush are ordered before a flag in memory but not before the interrupt, which is \
            sent by a register write; the target reads those of the call before.",
    story: include_str!("sel4_b8f1753d.md"),
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in/pso",
    code: &[("sel4_b8f1753d.rs", include_str!("sel4_b8f1753d.rs"))],
    build: |variant| Box::new(RemoteCall::new(variant)),
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const IPI: u8 = 0;
/// What the arguments still hold: an earlier call's page.
const EARLIER: usize = 1;

/// The one call that can be under way, as the kernel lock is held meanwhile.
#[derive(Debug)]
struct Call {
    page: Word,
    to_answer: Word,
}

/// CPU 0 holds the kernel lock and unmaps a page. CPU 1 runs a user thread of the space.
#[derive(Debug)]
pub(crate) struct RemoteCall {
    variant: Variant,
    machine: Machine,
    call: Call,
}

impl RemoteCall {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .map(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1)
            .build();
        let call = Call { page: Word::new("page", EARLIER as u64), to_answer: Word::new("to_answer", 0) };
        Self { variant, machine, call }
    }

    fn unmap(&self) {
        sync::note("unmap page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        self.remote_flush(0);
        hw::flush_page(TAG, 0, WalkCache::Drop);
        hw::free_frame(1);
    }

    fn remote_flush(&self, page: usize) {
        sync::note("remote call");
        self.call.to_answer.swap(1, AcqRel);
        self.call.page.store(page as u64, Relaxed);
        match self.variant {
            // A DMB orders memory accesses with each other.
            Variant::Broken => sync::fence(Release),
            // A DSB has stores complete before the next instruction.
            _ => sync::fence(SeqCst),
        }
        sync::raise(1, IPI);
        sync::wait_until(|| self.call.to_answer.load(Acquire) == 0);
    }
}

impl Scenario for RemoteCall {
    type Device = Machine;

    fn cpus(&self) -> usize {
        2
    }

    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { hw::touch(0) }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, IPI), "only CPU 0 calls");
        hw::flush_page(TAG, self.call.page.load(Acquire) as usize, WalkCache::Drop);
        self.call.to_answer.fetch_sub(1, AcqRel);
    }

    fn device(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("call", &self.call);
        self.machine.register(registry, &[]);
    }
}
