//! What this kernel writes for the engine.

use super::{HARTS, hart};
use shootdown::coherence::{Coherence, SendIpis};
use shootdown::flush::LocalFlush;
use shootdown::mask::CpuSet;
use shootdown::{CpuId, CpuLocal};
use shootdown_riscv64::encode::{Harts, SSTATUS_SIE, send_ipi};
use shootdown_riscv64::exec;

/// The harts.
pub struct Machine {
    cpus: [CpuLocal; HARTS],
}

impl Machine {
    /// Makes the memory for the engine.
    pub const fn new() -> Self {
        Self { cpus: [const { CpuLocal::new() }; HARTS] }
    }
}

// SAFETY: 1. tp is the hart's number from the start; 2. a `CpuLocal` a hart; 3. nothing preempts; 4. a fence is complete on
// return; 5. Rust runs on the kernel's root alone.
unsafe impl Coherence for Machine {
    fn cpu(&self) -> CpuId {
        CpuId::new(hart())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cpus[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        // SAFETY: 1. supervisor mode.
        unsafe { exec::interrupts_off() & SSTATUS_SIE != 0 }
    }
    fn irq_restore(&self, were_on: bool) {
        if were_on {
            // SAFETY: 1. supervisor mode, and they were on.
            unsafe { exec::interrupts_on() }
        }
    }
    unsafe fn flush_local(&self, _: LocalFlush) {
        // SAFETY: 1. supervisor mode.
        unsafe { exec::sfence_all() } // the next load of a root flushes everything anyway
    }
}

// SAFETY: 1. `trap` has the engine handle software interrupts, with interrupts off.
unsafe impl SendIpis for Machine {
    fn send_ipis(&self, cpus: CpuSet) {
        let harts = Harts::Mask { mask: cpus.bits(), base: cpus.first().number().into() };
        // SAFETY: 1. supervisor mode; 2. an interrupt changes no memory.
        unsafe { exec::sbi_call(send_ipi(harts)) };
    }
}
