//! A platform whose hardware part is an arch crate's; it is the same for all five.

#[cfg(target_arch = "aarch64")]
use shootdown_aarch64 as arch;
#[cfg(target_arch = "loongarch64")]
use shootdown_loongarch64 as arch;
#[cfg(target_arch = "riscv64")]
use shootdown_riscv64 as arch;
#[cfg(target_arch = "sparc64")]
use shootdown_sparc64 as arch;
#[cfg(target_arch = "x86_64")]
use shootdown_x86_64 as arch;

use arch::encode::Root;
use core::mem::ManuallyDrop;
use shootdown::flush::{LocalFlush, Remote, RemoteFlush};
use shootdown::mask::CpuMask;
use shootdown::refs::Teardown;
use shootdown::tags::{OnInstall, Tag};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform};

#[cfg(target_arch = "aarch64")]
type Tags = shootdown::tags::GlobalAsids<'static, shootdown::tags::FlushByBroadcast>;
#[cfg(target_arch = "riscv64")]
type Tags = shootdown::tags::GlobalAsids<'static, shootdown::tags::FlushByIpi>;
#[cfg(any(target_arch = "x86_64", target_arch = "sparc64", target_arch = "loongarch64"))]
type Tags = shootdown::tags::PerCpuSlots<6>;

operations! {
    /// The arch crate's bodies, and the tags that are usual there.
    hardware: Kernel;
}

/// A kernel of 64 CPUs.
#[derive(Debug)]
pub struct Kernel {
    mmu: arch::Mmu,
    tags: Tags,
}

#[expect(improper_ctypes, reason = "both ends are Rust, and nothing is linked")]
unsafe extern "C" {
    safe fn embedder_cpu() -> u32;
    safe fn embedder_local(cpu: u32) -> &'static CpuLocal;
    safe fn embedder_send_ipi(cpu: u32);
    safe fn embedder_free_root();
    safe fn embedder_defer_teardown(teardown: *const ());
}

// SAFETY: 1., 2. and 5. are the external functions', of which there are none; 3., 4. and 6. the arch crate's.
unsafe impl Platform for Kernel {
    type Root = Root;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = Tags;
    type Pin = ();

    const RANGE_CEILING: u64 = arch::RANGE_CEILING;

    #[inline]
    fn pin(&self) {}
    #[inline]
    fn cpu(&self) -> CpuId {
        CpuId::new(embedder_cpu())
    }
    #[inline]
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        embedder_local(cpu.number())
    }
    #[inline]
    fn irq_save(&self, _: IrqReason) -> bool {
        self.mmu.irq_save()
    }
    #[inline]
    fn irq_restore(&self, were_on: bool) {
        self.mmu.irq_restore(were_on);
    }
    #[inline]
    fn tags(&self) -> &Tags {
        &self.tags
    }
    #[inline]
    unsafe fn flush_local(&self, what: LocalFlush) {
        // SAFETY: 1. the engine's promise.
        unsafe { self.mmu.flush_local(what) }
    }
    #[inline]
    unsafe fn install(&self, root: Option<Root>, tag: Tag, how: OnInstall) {
        // SAFETY: 1. to 3. the engine's promises; every root maps the kernel.
        unsafe { self.mmu.install(root, tag, how) }
    }
    #[inline]
    fn send_ipi(&self, cpu: CpuId) {
        embedder_send_ipi(cpu.number());
    }
    #[inline]
    unsafe fn free_root(&self, _: Self::Handle) {
        embedder_free_root();
    }
    #[inline]
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let teardown = ManuallyDrop::new(teardown);
        embedder_defer_teardown((&raw const teardown).cast());
    }
    #[inline]
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        self.mmu.flush_remote(&what)
    }
    #[inline]
    fn publish_tables(&self) {
        self.mmu.publish_tables();
    }
    #[inline]
    fn relax(&self, _: u64) {
        self.mmu.relax();
    }
}
