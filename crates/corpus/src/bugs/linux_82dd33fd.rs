//! A CPU leaves the mask when it switches away, though with ASIDs its TLB keeps what it holds.

use crate::header::{Class, Header, Needs};
use crate::shapes::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry, Scenario};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Variant};

pub(crate) const HEADER: Header = Header {
    name: "linux-82dd33fd-riscv-asid-mask",
    id: "A6",
    source: "82dd33fde026",
    title: "riscv: asid: Fixup stale TLB entry cause application crash",
    arch: "riscv64",
    class: Class::Mask,
    rules: &[1, 3],
    needs: Needs::Interleaving,
    cpus: 2,
    memory: Memory::Pso,
    about: "A CPU drops out of the mask at switch-out while its TLB keeps the space's ASID; the next flush misses it, \
            and it comes back to stale translations.",
    story: include_str!("../stories/linux-82dd33fd-riscv-asid-mask.md"),
};

const SPACE: usize = 0;
const OTHER: usize = 1;
const FLUSH: u64 = 1;

fn tag(space: usize) -> u8 {
    space as u8 + 1
}

/// One task moves from CPU 0 to CPU 1, gets its page copied there, and moves back. What each CPU runs meanwhile is
/// another space.
#[derive(Debug)]
pub(crate) struct Migration {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// How often the task was queued for another CPU.
    queued: Word,
}

impl Migration {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine = Machine::builder(2)
            .spaces(2, 1)
            .tags(3)
            .translation(1, Some(SPACE), false)
            .translation(2, Some(SPACE), true)
            .translation(3, Some(OTHER), true)
            .map(SPACE, 0, 1)
            .map(OTHER, 0, 3)
            .start(0, SPACE, tag(SPACE), true)
            .start(1, OTHER, tag(OTHER), true)
            .must_free_frame(1)
            .build();
        Self {
            variant,
            machine,
            mm: Mm::new(1, 1, 0b01),
            calls: CrossCall::new(2),
            queued: Word::new("queued", 0),
        }
    }

    fn switch_in(&self, cpu: usize) {
        let on = sync::irq_save();
        self.mm.join(cpu);
        sync::fence(SeqCst);
        hw::install(Some(SPACE), tag(SPACE), Install::Keep);
        sync::irq_restore(on);
        hw::user(true);
    }

    fn switch_out(&self, cpu: usize) {
        hw::user(false);
        let on = sync::irq_save();
        hw::install(Some(OTHER), tag(OTHER), Install::Keep);
        if self.variant == Variant::Broken {
            self.mm.leave(cpu);
        }
        sync::irq_restore(on);
        hw::user(true);
    }

    fn enqueue(&self, turn: u64) {
        sync::fence(SeqCst);
        self.queued.store(turn, Release);
    }

    fn dequeue(&self, turn: u64) {
        sync::wait_until(|| self.queued.load(Acquire) == turn);
    }

    fn copy_on_write(&self, cpu: usize) {
        sync::note("copy page 0 on write");
        self.machine.tables.leaf(SPACE, 0).store(2, Relaxed);
        sync::fence(SeqCst);
        self.calls.call(cpu, self.mm.members(), FLUSH);
        hw::flush_page(tag(SPACE), 0, WalkCache::Drop);
        hw::free_frame(1);
    }
}

impl Scenario for Migration {
    type Device = Machine;

    fn cpus(&self) -> usize {
        2
    }

    fn main(&self, cpu: usize) {
        if cpu == 0 {
            sync::note("task leaves");
            self.switch_out(cpu);
            self.enqueue(1);
            self.dequeue(2);
            sync::note("task is back");
            hw::user(false);
            self.switch_in(cpu);
            hw::touch(0);
        } else {
            self.dequeue(1);
            sync::note("task arrives");
            hw::user(false);
            self.switch_in(cpu);
            self.copy_on_write(cpu);
            sync::note("task leaves");
            self.switch_out(cpu);
            self.enqueue(2);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
        self.calls.serve(cpu, |_| hw::flush_page(tag(SPACE), 0, WalkCache::Drop));
    }

    fn device(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("mm", &self.mm);
        self.calls.register(registry);
        registry.object("task", &self.queued);
        self.machine.register(registry, &[]);
    }
}
