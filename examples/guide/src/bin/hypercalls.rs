//! A guest whose hypervisor flushes: no IPI is sent.

use shootdown::coherence::{Coherence, Coherent, FlushRemote, Hypercalls, RemoteRequest, Rootless};
use shootdown::flush::{LocalFlush, PageRange, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::tags::Untagged;
use shootdown::{CpuId, CpuLocal};

/// Stand-ins for what every guest has: two CPUs, of which one thread runs now this, now that, with interrupts off.
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
    pub fn write_root(_root: u64) {}
    pub fn drop_everything() {}
    /// Returns when it has been done; Hyper-V's call is `shootdown_x86_64::paravirt::hyperv::FlushCall`.
    pub fn hypercall_flush(root: Option<u64>, first: u32, mask: u64) {
        println!("the hypervisor flushes {root:x?} on processors {mask:#b}, counted from {first}");
    }
}

struct Guest([CpuLocal; 2]);

// SAFETY: the obligations are listed at `Coherence`; a space is left for another, or for the kernel's root before `leave`.
unsafe impl Coherence for Guest {
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

// SAFETY: 1. each call has been carried out when it returns.
unsafe impl FlushRemote for Guest {
    fn flush_remote(&self, what: &RemoteRequest<'_>) {
        what.for_each_set(|cpus| arch::hypercall_flush(what.root, cpus.first().number(), cpus.bits()));
    }
}

static ENGINE: Coherent<Guest, CpuMask<1>, Untagged, Hypercalls> =
    Coherent::new(Rootless::new(Guest([const { CpuLocal::new() }; 2])), CpuMask::new());

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for cpu in [0, 1] {
        arch::run_on(cpu);
        ENGINE.online_cpu()?;
    }
    let process = ENGINE.new_space(0x8000, CpuMask::new())?;

    // CPU 1 runs the process.
    let entry = ENGINE.enter(&process);
    arch::write_root(process.root());
    // SAFETY: 1. and 2. that was just done; 3. the program ends with the space; 4. nothing else was called.
    unsafe { entry.loaded() };

    // CPU 0 unmaps a page of it, and one of kernel memory.
    arch::run_on(0);
    let page = PageRange::page(VirtAddr(0x40_0000));
    let mut user = ENGINE.gather::<u64, 8>(&process);
    user.unmapped(page, 0x7000).map_err(|_| "the gather is full")?;
    user.send().finish_with(|frame| println!("frame {frame:#x} can be reused"));
    let mut kernel = ENGINE.kernel().gather::<u64, 8>();
    kernel.unmapped(page, 0x9000).map_err(|_| "the gather is full")?;
    kernel.send().finish_with(|frame| println!("frame {frame:#x} can be reused"));
    Ok(())
}
