//! A hypervisor reads the flags of a preempted virtual CPU, and clears them in a step of its own.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-b0431382-kvm-flush-flag",
    id: "F1",
    source: "b043138246a4 (CVE-2019-3016)",
    year: 2020,
    title: "x86/KVM: Make sure KVM_VCPU_FLUSH_TLB flag is not missed",
    arch: "x86 (KVM)",
    rules: &[6, 14],
    about: "A guest leaves a flush to the hypervisor by a flag, as the virtual CPU is preempted; the hypervisor \
            has just read the flags and overwrites them: the flush is lost.",
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "transport-paravirtual",
    ..Bug::race(Memory::Tso, Preempted::model)
};

const SPACE: usize = 0;
/// The guest's translations are tagged, so they survive while something else runs on the physical CPU.
const GUEST: u8 = 1;
const HOST: u8 = 0;
const FLUSH: u64 = 1;
const PREEMPTED: u64 = 1;
const MUST_FLUSH: u64 = 2;

/// CPU 0 runs a virtual CPU whose thread unmaps a page. CPU 1 runs another virtual CPU of the guest, in user mode; the
/// hypervisor preempts it and lets it run again.
#[derive(Debug)]
pub(crate) struct Preempted {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    calls: CrossCall,
    /// What guest and hypervisor tell each other about virtual CPU 1.
    steal: Word,
}

impl Preempted {
    pub(crate) fn model(variant: Variant) -> Model {
        let machine = Machine::builder(2)
            .tags(2)
            .own_page(SPACE, 0, 1)
            .start(0, SPACE, GUEST, true)
            .start(1, SPACE, GUEST, true)
            .must_free_frame(1);
        machine.runs(|machine| Self {
            variant,
            machine,
            mm: Mm::new(2, 1, 0b11),
            calls: CrossCall::new(2),
            steal: Word::new("vcpu1.steal", 0),
        })
    }

    fn unmap(&self) {
        sync::note("guest: munmap page 0");
        self.machine.tables.leaf(SPACE, 0).swap(0, AcqRel);
        let state = self.steal.load(Acquire);
        let left_to_host = state & PREEMPTED != 0
            && self.steal.compare_exchange(state, state | MUST_FLUSH, AcqRel, Acquire).is_ok();
        if !left_to_host {
            self.calls.call(0, self.mm.members(), FLUSH);
        }
        hw::flush_page(GUEST, 0, WalkCache::Drop);
        hw::free_frame(1);
    }

    fn preempt(&self) {
        sync::note("host: preempt the guest");
        let on = sync::irq_save();
        hw::user(false);
        hw::install(None, HOST, Install::Keep);
        self.steal.swap(PREEMPTED, AcqRel);
        sync::note("host: run the guest again");
        let state = match self.variant {
            Variant::Broken => {
                let state = self.steal.load(Acquire);
                self.steal.store(0, Release);
                state
            }
            _ => self.steal.swap(0, AcqRel),
        };
        if state & MUST_FLUSH != 0 {
            hw::flush_tag(GUEST);
        }
        hw::install(Some(SPACE), GUEST, Install::Keep);
        sync::irq_restore(on);
        hw::user(true);
    }
}

impl Program for Preempted {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.preempt() }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(GUEST, 0, WalkCache::Drop));
    }
}
