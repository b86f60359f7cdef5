//! The machine of a toy kernel whose page tables an IOMMU shares. It loads its roots itself, on the engine's coherence layer.

use shootdown::coherence::{Coherence, SecondaryRequest, SendIpis};
use shootdown::flush::LocalFlush;
use shootdown::mask::CpuSet;
use shootdown::ports::{Commands, Embedded, PortableCoherence};
use shootdown::{CpuId, CpuLocal};

/// Most CPUs.
const CPUS: usize = 8;

/// The machine, as the engine sees it.
pub struct Machine<H: Commands> {
    ports: H,
    cpus: &'static [CpuLocal; CPUS],
}

/// The platform that the doctor examines.
pub type PlatformUnderTest<H> = Embedded<Machine<H>, H>;

// SAFETY: 1. the port's promise; 2. an array, indexed by the number; 3. interrupts go off and come back as they were, and
// nothing preempts; 4. it waits for completion; 5. kernel code runs on the kernel's root alone; 6. all that a
// request covers is posted, tables that are freed too, and the IOMMU answers in the order of its queue.
unsafe impl<H: Commands> Coherence for Machine<H> {
    const SECONDARY_TLBS: bool = true;

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
    fn invalidate_secondary(&self, what: &SecondaryRequest) -> u64 {
        let levels = what.request.levels();
        match (what.root, what.request.range()) {
            (Some(root), Some(range)) => {
                range.pages().for_each(|page| self.ports.post_page(root, page.0, levels));
            }
            (Some(root), None) => self.ports.post_root(root),
            (None, _) => self.ports.post_all(),
        }
        self.ports.post_wait()
    }
    fn secondary_is_done(&self, position: u64) -> bool {
        self.ports.carried_out() >= position
    }
    fn relax(&self, _: u64) {
        self.ports.pause();
    }
}

// SAFETY: 1. the handler of the interrupt calls `handle_ipi`, and requests are ordered before it.
unsafe impl<H: Commands> SendIpis for Machine<H> {
    fn send_ipis(&self, cpus: CpuSet) {
        self.ports.order_before_interrupt();
        cpus.into_iter().for_each(|cpu| self.ports.send_interrupt(cpu.number()));
    }
}

impl<H: Commands + 'static> PortableCoherence<H> for Machine<H> {
    type Room = [CpuLocal; CPUS];

    fn room() -> Self::Room {
        [const { CpuLocal::new() }; CPUS]
    }
    fn new(ports: H, room: &'static Self::Room) -> Self {
        Self { ports, cpus: room }
    }
}
