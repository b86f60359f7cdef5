//! A kernel that counts references to its spaces by `Arc`, and loads roots in its scheduler.

use shootdown::coherence::{Coherence, Coherent, Rootless, SendIpis, Space};
use shootdown::flush::{LocalFlush, PageRange, VirtAddr};
use shootdown::mask::{CpuMask, CpuSet};
use shootdown::{CpuId, CpuLocal};
use std::sync::Arc;

/// Stand-ins for what every kernel has: one CPU, on the way to and from which interrupts are off.
mod arch {
    pub const KERNEL_ROOT: u64 = 0x1000;
    pub fn cpu() -> u32 {
        0
    }
    pub fn interrupts_off() -> bool {
        false
    }
    pub fn interrupts_on() {}
    pub fn send_ipi(_cpu: u32) {}
    pub fn write_root(root: u64) {
        println!("root {root:#x} is loaded, and the TLB is empty");
    }
    pub fn drop_everything() {}
}

struct Cpus([CpuLocal; 8]);

// SAFETY: the obligations are listed at `Coherence`; `unload` loads the kernel's root.
unsafe impl Coherence for Cpus {
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
        arch::drop_everything(); // more than asked is never wrong
    }
    unsafe fn unload(&self) {
        arch::write_root(arch::KERNEL_ROOT);
    }
}

// SAFETY: 1. the handler of the interrupt calls `ENGINE.handle_ipi()`.
unsafe impl SendIpis for Cpus {
    fn send_ipis(&self, to: CpuSet) {
        to.into_iter().for_each(|cpu| arch::send_ipi(cpu.number()));
    }
}

static ENGINE: Coherent<Cpus> =
    Coherent::new(Rootless::new(Cpus([const { CpuLocal::new() }; 8])), CpuMask::new());

struct Mm(Space<Cpus>);

impl Drop for Mm {
    /// The last `Arc` is gone. CPUs that are lazy on the space are made to leave it.
    fn drop(&mut self) {
        ENGINE.retire(&self.0);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    ENGINE.online_cpu()?; // on each CPU
    let mm = Arc::new(Mm(ENGINE.new_space(0x8000, CpuMask::new())?));

    // The scheduler, to a user thread.
    let entry = ENGINE.enter(&mm.0);
    arch::write_root(mm.0.root());
    // SAFETY: 1. and 2. that was just done; 3. `Mm::drop` retires the space; 4. nothing else was called.
    unsafe { entry.loaded() };

    // munmap: clear the entry, hand the frame to a gather, flush, let go.
    let mut gather = ENGINE.gather::<u64, 8>(&mm.0);
    gather.unmapped(PageRange::page(VirtAddr(0x40_0000)), 0x7000).map_err(|_| "the gather is full")?;
    gather.send().finish_with(|frame| println!("frame {frame:#x} can be reused"));

    // The scheduler, to a kernel thread; then the process ends.
    ENGINE.enter_lazy();
    drop(mm);
    Ok(())
}
