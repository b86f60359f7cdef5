//! What this kernel writes for the engine: its machine behind ports, and what turns preemption off.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use shootdown::coherence::{Coherence, SendIpis};
use shootdown::flush::LocalFlush;
use shootdown::mask::CpuSet;
use shootdown::ports::Ports;
use shootdown::{CpuId, CpuLocal};

/// How many spans are open in which nothing preempts. A kernel has one a CPU; here one thread runs all CPUs.
pub static PREEMPTION: AtomicU32 = AtomicU32::new(0);

/// The machine, as the engine sees it.
pub struct Hardware<H: Ports> {
    /// Its instructions.
    pub ports: H,
    /// Memory for the engine.
    pub cpus: &'static [CpuLocal; 4],
}

// SAFETY: 1. the port's promise; 2. an array, indexed by the number; 3. interrupts go off and come back as they were, and
// nothing preempts while `PREEMPTION` is not 0; 4. it waits for completion; 5. no space is entered.
unsafe impl<H: Ports> Coherence for Hardware<H> {
    const USER_MODE: bool = true;

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
    /// Of kernel memory nothing is worth keeping: a CPU that comes from user mode flushes once for all that it missed.
    unsafe fn flush_local(&self, _: LocalFlush) {
        self.ports.drop_all();
        self.ports.complete();
    }
    fn preempt_disable() {
        PREEMPTION.fetch_add(1, Relaxed);
    }
    fn preempt_enable() {
        PREEMPTION.fetch_sub(1, Relaxed);
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
