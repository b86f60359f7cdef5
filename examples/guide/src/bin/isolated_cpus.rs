//! A kernel with an isolated CPU: flushes of kernel memory neither interrupt it in user mode nor wait for it.

use shootdown::coherence::{Coherence, Coherent, Rootless, SendIpis};
use shootdown::flush::{LocalFlush, PageRange, VirtAddr};
use shootdown::mask::{CpuMask, CpuSet};
use shootdown::{CpuId, CpuLocal};

/// Stand-ins for what every kernel has: two CPUs, of which one thread runs now this, now that, with interrupts off.
mod arch {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static CPU: AtomicU32 = AtomicU32::new(0);
    pub fn cpu() -> u32 {
        CPU.load(Relaxed)
    }
    pub fn run_on(cpu: u32) {
        CPU.store(cpu, Relaxed);
    }
    pub fn interrupts_off() -> bool {
        false
    }
    pub fn interrupts_on() {}
    pub fn send_ipi(cpu: u32) {
        println!("CPU {cpu} is interrupted");
    }
    pub fn drop_everything() {
        println!("CPU {} flushes", cpu());
    }
}

struct Cpus([CpuLocal; 2]);

// SAFETY: the obligations are listed at `Coherence`; no space is entered.
unsafe impl Coherence for Cpus {
    const USER_MODE: bool = true;

    fn cpu(&self) -> CpuId {
        CpuId::new(arch::cpu())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.0[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        arch::interrupts_off()
    }
    fn irq_restore(&self, were_on: bool) {
        if were_on {
            arch::interrupts_on();
        }
    }
    unsafe fn flush_local(&self, _: LocalFlush) {
        arch::drop_everything();
    }
}

// SAFETY: 1. the handler of the interrupt calls `ENGINE.handle_ipi()`.
unsafe impl SendIpis for Cpus {
    fn send_ipis(&self, to: CpuSet) {
        to.into_iter().for_each(|cpu| arch::send_ipi(cpu.number()));
    }
}

static ENGINE: Coherent<Cpus> =
    Coherent::new(Rootless::new(Cpus([const { CpuLocal::new() }; 2])), CpuMask::new());

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for cpu in [0, 1] {
        arch::run_on(cpu);
        ENGINE.online_cpu()?;
    }

    // CPU 1 is isolated, and goes to user mode.
    arch::run_on(1);
    // SAFETY: 1. interrupts are off; 2. `exit_user` comes first; 3. only this page is ever unmapped.
    unsafe { ENGINE.enter_user() };

    // CPU 0: vunmap.
    arch::run_on(0);
    let mut gather = ENGINE.kernel().gather::<u64, 8>();
    gather.unmapped(PageRange::page(VirtAddr(0x40_0000)), 0x7000).map_err(|_| "the gather is full")?;
    gather.send().finish_with(|frame| println!("frame {frame:#x} can be reused"));

    // CPU 1: a system call. This comes before anything that touches memory that can be unmapped.
    arch::run_on(1);
    // SAFETY: 1. interrupts are off; 2. no call of the engine is under way on this CPU.
    unsafe { ENGINE.exit_user() };
    Ok(())
}
