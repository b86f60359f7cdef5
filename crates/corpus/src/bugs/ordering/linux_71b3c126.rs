//! A flush reads the mask before its page-table store has left the store buffer.

use crate::bug::{Bug, Class, Needs};
use crate::shapes::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, Registry, Scenario, sync};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-71b3c126-x86-switch-barrier",
    id: "B1",
    source: "71b3c126e611 (CVE-2016-2069)",
    title: "x86/mm: Add barriers and document switch_mm()-vs-flush synchronization",
    kernel: "Linux",
    arch: "x86",
    class: Class::Ordering,
    rules: &[4, 5],
    needs: Needs::StoreBuffer,
    cpus: 2,
    memory: Memory::Tso,
    about: "A CPU that does not run the space clears an entry and reads the mask with no barrier between: a CPU that \
            switches in meanwhile is not in the mask yet and still reads the old entry.",
    story: include_str!("linux_71b3c126.md"),
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "switch-in/pso",
    code: &[("linux_71b3c126.rs", include_str!("linux_71b3c126.rs"))],
    build: |variant| Box::new(Reclaim::new(variant)),
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const FLUSH: u64 = 1;

/// CPU 0 reclaims a page of a space that it does not run. CPU 1 switches to that space.
#[derive(Debug)]
pub(crate) struct Reclaim {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl Reclaim {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine =
            Machine::builder(2).translation(1, Some(SPACE), true).map(SPACE, 0, 1).must_free_frame(1).build();
        Self { variant, machine, mm: Mm::new(1, 1, 0), calls: CrossCall::new(2) }
    }

    fn reclaim(&self) {
        sync::note("reclaim page 0");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        if self.variant == Variant::Fixed {
            sync::fence(SeqCst);
        }
        self.calls.call(0, self.mm.members(), FLUSH);
        hw::free_frame(1);
    }

    fn switch_in(&self, cpu: usize) {
        sync::note("switch to the space");
        let on = sync::irq_save();
        // A locked operation and a root load: on this side both order already.
        self.mm.join(cpu);
        hw::install(Some(SPACE), TAG, Install::FlushTag);
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }
}

impl Scenario for Reclaim {
    type Device = Machine;

    fn cpus(&self) -> usize {
        2
    }

    fn main(&self, cpu: usize) {
        if cpu == 0 { self.reclaim() } else { self.switch_in(cpu) }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }

    fn device(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("mm", &self.mm);
        self.calls.register(registry);
        self.machine.register(registry, &[]);
    }
}
