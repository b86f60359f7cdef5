//! A platform whose hardware part is an arch crate's, to see that the bodies fit.

#[cfg(target_arch = "aarch64")]
use shootdown_aarch64 as arch;
#[cfg(target_arch = "riscv64")]
use shootdown_riscv64 as arch;
#[cfg(target_arch = "sparc64")]
use shootdown_sparc64 as arch;
#[cfg(target_arch = "x86_64")]
use shootdown_x86_64 as arch;

use arch::encode::Root;
use shootdown::flush::{LocalFlush, Remote, RemoteFlush};
use shootdown::mask::CpuMask;
use shootdown::refs::Teardown;
use shootdown::tags::{OnInstall, PerCpuSlots, Tag};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform};

/// A kernel of eight CPUs. What an arch crate does not have stands beside it as functions of the kernel.
#[derive(Debug)]
pub struct Kernel {
    /// The hardware part.
    pub mmu: arch::Mmu,
    /// Tags 1 to 6 of each CPU, as Linux has them on x86.
    pub tags: PerCpuSlots<6>,
    /// Per-CPU memory.
    pub cpus: [CpuLocal; 8],
    /// Says which CPU runs the caller.
    pub this_cpu: fn() -> u32,
    /// Sends the interrupt whose handler serves the engine.
    pub send_interrupt: fn(u32),
}

// SAFETY: 1. `this_cpu` is the kernel's; 2. the array is indexed by it; 3., 4. and 6. the arch crate's; 5. the kernel's.
unsafe impl Platform for Kernel {
    type Root = Root;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = PerCpuSlots<6>;
    type Pin = ();

    const RANGE_CEILING: u64 = arch::RANGE_CEILING;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new((self.this_cpu)())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cpus[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        self.mmu.irq_save()
    }
    fn irq_restore(&self, were_on: bool) {
        self.mmu.irq_restore(were_on);
    }
    fn tags(&self) -> &Self::Tags {
        &self.tags
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        // SAFETY: 1. the engine's promise.
        unsafe { self.mmu.flush_local(what) }
    }
    unsafe fn install(&self, root: Option<Root>, tag: Tag, how: OnInstall) {
        // SAFETY: 1. to 3. the engine's promises; every root maps the kernel.
        unsafe { self.mmu.install(root, tag, how) }
    }
    fn send_ipi(&self, cpu: CpuId) {
        (self.send_interrupt)(cpu.number());
    }
    unsafe fn free_root(&self, _: &AddressSpace<Self>) {}
    fn defer_teardown(&self, late: Teardown<'_, Self>) {
        let _ = late.into_handle();
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        self.mmu.flush_remote(&what)
    }
    fn publish_tables(&self) {
        self.mmu.publish_tables();
    }
    fn relax(&self, _: u64) {
        self.mmu.relax();
    }
}
