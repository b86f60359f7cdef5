//! A machine that loads roots itself, of which every part is an external function: what is left is the coherence layer.

use shootdown::CpuLocal;
use shootdown::coherence::{Coherence, Rootless, SendIpis};
use shootdown::flush::LocalFlush;
use shootdown::mask::{CpuMask, CpuSet};
use shootdown::tags::{FlushByIpi, GlobalAsids, Untagged};
use shootdown::{AddressSpace, CpuId, Shootdown};

coherent_operations! {
    /// No tags.
    coherent: Untagged;
    /// One tag a space on all CPUs, brought up to date by IPIs, as on RISC-V.
    coherent_asids: GlobalAsids<'static, FlushByIpi>;
}

/// The machine.
#[derive(Debug)]
pub struct Embedder;

#[expect(improper_ctypes, reason = "both ends are Rust, and nothing is linked")]
unsafe extern "C" {
    safe fn embedder_pin();
    safe fn embedder_unpin();
    safe fn embedder_cpu() -> u32;
    safe fn embedder_local(cpu: u32) -> &'static CpuLocal;
    safe fn embedder_irq_save() -> bool;
    safe fn embedder_irq_restore(were_on: bool);
    safe fn embedder_send_ipis(first: u32, cpus: u64);
    safe fn embedder_flush_local(what: &LocalFlush);
    safe fn embedder_unload();
    safe fn embedder_publish_tables();
    safe fn embedder_relax(polls: u64);
    safe fn embedder_stalled(cpu: u32, polls: u64);
}

// SAFETY: 1. to 5. are the external functions', of which there are none: nothing here ever runs.
unsafe impl Coherence for Embedder {
    #[inline]
    fn cpu(&self) -> CpuId {
        CpuId::new(embedder_cpu())
    }
    #[inline]
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        embedder_local(cpu.number())
    }
    #[inline]
    fn irq_save(&self) -> bool {
        embedder_irq_save()
    }
    #[inline]
    fn irq_restore(&self, were_on: bool) {
        embedder_irq_restore(were_on);
    }
    #[inline]
    unsafe fn flush_local(&self, what: LocalFlush) {
        embedder_flush_local(&what);
    }
    #[inline]
    unsafe fn unload(&self) {
        embedder_unload();
    }
    #[inline]
    fn preempt_disable() {
        embedder_pin();
    }
    #[inline]
    fn preempt_enable() {
        embedder_unpin();
    }
    #[inline]
    fn publish_tables(&self) {
        embedder_publish_tables();
    }
    #[inline]
    fn relax(&self, polls: u64) {
        embedder_relax(polls);
    }
    #[inline]
    fn stalled(&self, cpu: CpuId, polls: u64) {
        embedder_stalled(cpu.number(), polls);
    }
}

// SAFETY: 1. is the external function's.
unsafe impl SendIpis for Embedder {
    #[inline]
    fn send_ipis(&self, cpus: CpuSet) {
        embedder_send_ipis(cpus.first().number(), cpus.bits());
    }
}
