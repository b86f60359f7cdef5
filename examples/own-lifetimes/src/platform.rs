//! What this kernel writes for the engine: machine code behind ports, two tags a space.

use shootdown::coherence::{Coherence, SendIpis};
use shootdown::flush::LocalFlush;
use shootdown::mask::CpuSet;
use shootdown::ports::{Entries, Ports};
use shootdown::{CpuId, CpuLocal};

/// The bit of a tag that stands for the half of user mode (x86: PCID bit 11).
pub const USER_HALF: u16 = 0x800;

/// The machine, as the engine sees it.
pub struct Hardware<H: Ports> {
    /// Its instructions.
    pub ports: H,
    /// Memory for the engine.
    pub cpus: &'static [CpuLocal; 4],
}

// SAFETY: 1. the port's promise; 2. an array, indexed by the number; 3. interrupts go off and come back as they were, and
// nothing preempts; 4. it waits for completion; 5. `unload` loads the kernel's root, and waits.
unsafe impl<H: Ports> Coherence for Hardware<H> {
    fn cpu(&self) -> CpuId {
        CpuId::new(self.ports.this_cpu())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cpus[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        self.ports.interrupts_off()
    }
    fn irq_restore(&self, were_on: bool) {
        if were_on {
            self.ports.interrupts_on();
        }
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        match (what.tag.map(|tag| [tag.number(), tag.number() | USER_HALF]), what.request.range()) {
            (Some(halves), Some(range)) => halves.into_iter().for_each(|half| {
                range.pages().for_each(|page| self.ports.drop_page(half, page.0, what.request.levels()));
            }),
            (Some(halves), None) => halves.into_iter().for_each(|half| self.ports.drop_tag(half)),
            (None, Some(range)) => {
                range.pages().for_each(|page| self.ports.drop_kernel_page(page.0, what.request.levels()));
            }
            (None, None) => self.ports.drop_all(),
        }
        self.ports.complete();
    }
    unsafe fn unload(&self) {
        self.ports.write_root(self.ports.kernel_root(), 0, Entries::Kept);
        self.ports.complete();
    }
    fn publish_tables(&self) {
        self.ports.publish_tables();
    }
}

// SAFETY: 1. the handler of the interrupt calls `handle_ipi`, and requests are ordered before it.
unsafe impl<H: Ports> SendIpis for Hardware<H> {
    fn send_ipis(&self, cpus: CpuSet) {
        self.ports.order_before_interrupt();
        cpus.into_iter().for_each(|cpu| self.ports.send_interrupt(cpu.number()));
    }
}
