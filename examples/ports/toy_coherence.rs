//! The machine of a toy kernel that loads its roots itself, and takes the engine's coherence layer alone.

use shootdown::coherence::{Coherence, SendIpis};
use shootdown::flush::LocalFlush;
use shootdown::mask::CpuSet;
use shootdown::ports::{Embedded, PortableCoherence, Ports};
use shootdown::{CpuId, CpuLocal};

/// Most CPUs.
const CPUS: usize = 8;

/// The machine, as the engine sees it.
pub struct Machine<H: Ports> {
    ports: H,
    cpus: &'static [CpuLocal; CPUS],
}

/// The platform that the doctor examines.
pub type PlatformUnderTest<H> = Embedded<Machine<H>, H>;

// SAFETY: 1. the port's promise; 2. an array, indexed by the number; 3. interrupts go off and come back as they were, and
// nothing preempts; 4. it waits for completion; 5. kernel code runs on the kernel's root alone.
unsafe impl<H: Ports> Coherence for Machine<H> {
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
        let levels = what.request.levels();
        match (what.tag, what.request.range()) {
            (Some(tag), Some(range)) => {
                range.pages().for_each(|page| self.ports.drop_page(tag.number(), page.0, levels));
            }
            (Some(tag), None) => self.ports.drop_tag(tag.number()),
            (None, Some(range)) => {
                range.pages().for_each(|page| self.ports.drop_kernel_page(page.0, levels));
            }
            (None, None) => self.ports.drop_all(),
        }
        self.ports.complete();
    }
    fn publish_tables(&self) {
        self.ports.publish_tables();
    }
    fn relax(&self, _: u64) {
        self.ports.pause();
    }
}

// SAFETY: 1. the handler of the interrupt calls `handle_ipi`, and requests are ordered before it.
unsafe impl<H: Ports> SendIpis for Machine<H> {
    fn send_ipis(&self, cpus: CpuSet) {
        self.ports.order_before_interrupt();
        cpus.into_iter().for_each(|cpu| self.ports.send_interrupt(cpu.number()));
    }
}

impl<H: Ports + 'static> PortableCoherence<H> for Machine<H> {
    type Room = [CpuLocal; CPUS];

    fn room() -> Self::Room {
        [const { CpuLocal::new() }; CPUS]
    }
    fn new(ports: H, room: &'static Self::Room) -> Self {
        Self { ports, cpus: room }
    }
}
