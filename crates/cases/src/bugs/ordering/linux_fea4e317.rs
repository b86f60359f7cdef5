//! A flush does not count a CPU as using the space until after it has loaded the root.

use crate::bugs::{Bug, boxed, code};
use crate::protocols::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Memory, Registry};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-fea4e317-switching-window",
    id: "B12",
    source: "fea4e317f9e7 (CVE-2025-37964)",
    year: 2025,
    title: "x86/mm: Eliminate window where TLB flushes may be inadvertently skipped",
    arch: "x86",
    rules: &[1, 5],
    about: "A flush skips CPUs whose word does not name the space; a CPU that has loaded the root and not \
            yet written the word is skipped, and fills its TLB.",
    story: include_str!("linux_fea4e317.md"),
    ends: "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)",
    engine: "seed",
    code: code!["linux_fea4e317.rs"],
    // The bit is set by a locked instruction, which is a full barrier there and nowhere else.
    fixed_under: Memory::Pso,
    ..Bug::race(Memory::Tso, |variant| boxed(Window::new(variant)))
};

const SPACE: usize = 0;
const TAG: u8 = 0;
const FLUSH: u64 = 1;
/// What a CPU says that it has loaded.
const ANOTHER: u64 = 0;
const THIS: u64 = 1;
const SWITCHING: u64 = 2;

/// CPU 0 takes a page away. CPU 1 switches to the space and uses it.
#[derive(Debug)]
pub(crate) struct Window {
    variant: Variant,
    machine: Machine,
    mm: Mm,
    /// What CPU 1 says.
    loaded: Word,
    calls: CrossCall,
}

impl Window {
    pub(crate) fn new(variant: Variant) -> Self {
        let machine = Machine::builder(2).own_page(SPACE, 0, 1).must_free_frame(1).build();
        let loaded = Word::new("loaded_mm", ANOTHER);
        Self { variant, machine, mm: Mm::new(1, 1, 0), loaded, calls: CrossCall::new(2) }
    }

    fn unmap(&self) {
        sync::note("take page 0 away");
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        if self.mm.members() & 0b10 != 0 && self.is_due(self.loaded.load(Acquire)) {
            self.calls.call(0, 0b10, FLUSH);
        }
        hw::free_frame(1);
    }

    /// Whether a CPU that is in the mask has to be interrupted.
    fn is_due(&self, loaded: u64) -> bool {
        loaded == THIS || self.variant == Variant::Fixed && loaded == SWITCHING
    }

    fn switch_in(&self, cpu: usize) {
        sync::note("switch to the space");
        let on = sync::irq_save();
        self.loaded.store(SWITCHING, Relaxed);
        self.mm.join(cpu);
        hw::install(Some(SPACE), TAG, Install::FlushTag);
        self.loaded.store(THIS, Relaxed);
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Window {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.switch_in(cpu) }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, CROSS_CALL), "only CPU 0 calls");
        self.calls.serve(cpu, |_| hw::flush_page(TAG, 0, WalkCache::Drop));
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn register(&self, registry: &mut Registry) {
        registry.object("mm", &self.mm);
        registry.object("cpu1", &self.loaded);
        self.calls.register(registry);
    }
}
