//! A CPU leaves the mask when it switches away, though with ASIDs its TLB keeps what it holds.

use crate::bug::{Bug, Class, Needs};
use crate::shapes::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use shootdown_explore::{Memory, Registry, Scenario, sync};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-82dd33fd-riscv-asid-mask",
    id: "A6",
    source: "82dd33fde026",
    title: "riscv: asid: Fixup stale TLB entry cause application crash",
    kernel: "Linux",
    arch: "riscv64",
    class: Class::Mask,
    rules: &[1, 3],
    needs: Needs::Interleaving,
    cpus: 2,
    memory: Memory::Pso,
    about: "A CPU drops out of the mask at switch-out while its TLB keeps the space's ASID; the next flush misses it, \
            and it comes back to stale translations.",
    story: include_str!("linux_82dd33fd.md"),
    ends: "CPU 0 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "warm-tags",
    code: &[("linux_82dd33fd.rs", include_str!("linux_82dd33fd.rs"))],
    build: |variant| Box::new(Switching::new(variant)),
};

const SPACE: usize = 0;
const TAG: u8 = 1;
const KERNEL_TAG: u8 = 0;
const FLUSH: u64 = 1;

/// CPU 0 runs a thread, switches to something else and back. CPU 1 runs another thread, which has a page copied.
#[derive(Debug)]
pub(crate) struct Switching {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
}

impl Switching {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine = Machine::builder(2)
            .tags(2)
            .translation(1, Some(SPACE), false)
            .translation(2, Some(SPACE), true)
            .map(SPACE, 0, 1)
            .start(0, SPACE, TAG, true)
            .start(1, SPACE, TAG, true)
            .must_free_frame(1)
            .build();
        Self { variant, machine, mm: Mm::new(2, 1, 0b11), calls: CrossCall::new(2) }
    }

    fn switch_out(&self, cpu: usize) {
        hw::user(false);
        let on = sync::irq_save();
        hw::install(None, KERNEL_TAG, Install::Keep);
        if self.variant == Variant::Broken {
            self.mm.leave(cpu);
        }
        sync::irq_restore(on);
    }

    fn switch_in(&self, cpu: usize) {
        let on = sync::irq_save();
        self.mm.join(cpu);
        sync::fence(SeqCst);
        hw::install(Some(SPACE), TAG, Install::Keep);
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }

    fn copy_on_write(&self, cpu: usize) {
        sync::note("copy page 0 on write");
        self.machine.tables.leaf(SPACE, 0).store(2, Relaxed);
        sync::fence(SeqCst);
        self.calls.call(cpu, self.mm.members(), FLUSH);
        hw::flush_page(TAG, 0, WalkCache::Drop);
        hw::free_frame(1);
    }
}

impl Scenario for Switching {
    type Device = Machine;

    fn cpus(&self) -> usize {
        2
    }

    fn main(&self, cpu: usize) {
        if cpu == 0 {
            sync::note("switch to something else");
            self.switch_out(cpu);
            sync::note("switch back");
            self.switch_in(cpu);
        } else {
            self.copy_on_write(cpu);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
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
