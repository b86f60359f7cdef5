//! The part of a platform.

use crate::encode::{Asid, CRMD_IE, EncodeError, Root, asid_bits, iocsr, ipi_send};
use crate::exec;
use crate::plan::{Step, Strategies};
use shootdown::Platform;
use shootdown::flush::{LocalFlush, Remote, RemoteFlush};
use shootdown::tags::{OnInstall, Tag};

/// Bodies of the methods of a [`Platform`] that touch the hardware. One value for all cores, so that they agree.
#[derive(Clone, Copy, Debug)]
pub struct Mmu {
    strategies: Strategies,
    kernel_root: Root,
}

impl Mmu {
    /// Makes the part. `kernel_root` maps nothing in the lower half of addresses, and is loaded for no space; the
    /// kernel is in the upper half, under CSR.PGDH, or in direct-mapped windows.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the value is used at PLV0 alone, on cores that have what the strategies say;
    /// 2. the root stays allocated;
    /// 3. the handler of TLB refills reads CSR.PGDL each time, and interrupts are off while it runs.
    pub const unsafe fn new(strategies: Strategies, kernel_root: Root) -> Self {
        Self { strategies, kernel_root }
    }

    /// The hardware features in use.
    pub const fn strategies(&self) -> &Strategies {
        &self.strategies
    }

    /// Finds how many bits ASIDs have on this core.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. it runs at PLV0.
    pub unsafe fn read_asid_bits() -> u32 {
        // SAFETY: 1. the caller's.
        asid_bits(unsafe { exec::read_asid() })
    }

    /// Body of [`Platform::flush_local`].
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off.
    #[inline]
    pub unsafe fn flush_local(&self, what: LocalFlush) {
        // Walks that follow see the page-table stores that came before.
        dbar();
        self.carry_out(self.strategies.local(what));
        if Strategies::syncs_contexts(what.request) {
            ibar();
        }
    }

    /// Body of [`Platform::install`]. Tags that are no ASID, and no root, share ASID 0, which is flushed at each load.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off;
    /// 2. the root's tables stay until another is installed;
    /// 3. `how` is such that no entry under `tag` belongs to another space or to an older state of this one.
    #[inline]
    pub unsafe fn install(&self, root: Option<Root>, tag: Tag, how: OnInstall) {
        let tag = if root.is_some() { tag } else { Tag::NONE };
        let plan = self.strategies.install(root.unwrap_or(self.kernel_root), tag, how);
        // Walks through the new root come after all earlier loads.
        dbar();
        // SAFETY: 1. the caller of `new` ensures it; 2. ASID 0 is flushed before a space runs under it.
        unsafe { exec::write_asid(Asid::SHARED) };
        // SAFETY: 1. the caller of `new` ensures it; 2. the caller does.
        unsafe { exec::write_pgdl(plan.root.address()) };
        if let Some(step) = plan.between {
            self.carry_out(step);
        }
        if plan.asid != Asid::SHARED {
            // SAFETY: 1. the caller of `new` ensures it; 2. the caller does.
            unsafe { exec::write_asid(plan.asid) };
        }
        if plan.between.is_some() {
            ibar();
        }
    }

    /// Body of [`Platform::flush_remote`]: INVTLB reaches this core alone.
    #[inline]
    pub fn flush_remote<P: Platform>(&self, _: &RemoteFlush<'_, P>) -> Remote {
        Remote::NeedsIpi
    }

    /// Body of [`Platform::publish_tables`]. Nothing is needed: the engine's fence orders this core's stores before its
    /// IPI, and each core orders its own walks.
    #[inline]
    pub fn publish_tables(&self) {}

    /// Enables an IPI on this core. CSR.ECFG has to let its line through ([`crate::encode::ECFG_IPI`]).
    ///
    /// # Errors
    /// There is no such IPI.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the kernel handles the IPI.
    pub unsafe fn enable_ipi(&self, ipi: u32) -> Result<(), EncodeError> {
        ipi_send(0, ipi)?;
        // SAFETY: 1. the caller of `new` ensures it; reading changes nothing.
        let enabled = unsafe { exec::read_iocsr(iocsr::IPI_ENABLE) };
        // SAFETY: 1. the caller of `new` ensures it, and the caller wants the IPI.
        unsafe { exec::write_iocsr(iocsr::IPI_ENABLE, enabled | 1 << ipi) };
        Ok(())
    }

    /// Body of [`Platform::send_ipi`]: `core` is the number in CSR.CPUID of the target.
    ///
    /// # Errors
    /// There is no such core or IPI.
    #[inline]
    pub fn send_ipi(&self, core: u32, ipi: u32) -> Result<(), EncodeError> {
        let request = ipi_send(core, ipi)?;
        // IOCSR is not ordered with memory: the request that the IPI is about comes first.
        dbar();
        // SAFETY: 1. the caller of `new` ensures it; an IPI that nobody enabled stays pending.
        unsafe { exec::write_iocsr(iocsr::IPI_SEND, request) };
        Ok(())
    }

    /// Takes this core's pending IPIs, a bit each, before they are handled: one that comes later interrupts again.
    #[inline]
    pub fn take_ipis(&self) -> u32 {
        // SAFETY: 1. the caller of `new` ensures it.
        let pending = unsafe { exec::read_iocsr(iocsr::IPI_STATUS) };
        // SAFETY: 1. as above; what is cleared is returned.
        unsafe { exec::write_iocsr(iocsr::IPI_CLEAR, pending) };
        // What the requests are about is read after they are cleared.
        dbar();
        pending
    }

    /// Body of [`Platform::irq_save`].
    #[inline]
    pub fn irq_save(&self) -> bool {
        // SAFETY: 1. the caller of `new` ensures it.
        let before = unsafe { exec::interrupts_off() };
        before & CRMD_IE != 0
    }

    /// Body of [`Platform::irq_restore`].
    #[inline]
    pub fn irq_restore(&self, were_on: bool) {
        if were_on {
            // SAFETY: 1. the caller of `new` ensures it; they were on before.
            unsafe { exec::interrupts_on() };
        }
    }

    /// Body of [`Platform::relax`].
    #[inline]
    pub fn relax(&self) {
        core::hint::spin_loop();
    }

    /// Carries out one step.
    #[inline]
    fn carry_out(&self, step: Step) {
        match step {
            Step::Pages(pages, asid) => pages.for_each(|page| {
                // SAFETY: 1. the caller of `new` ensures it.
                unsafe { exec::invtlb_address_asid(page, asid) };
            }),
            Step::GlobalPages(pages) => pages.for_each(|page| {
                // SAFETY: 1. the caller of `new` ensures it.
                unsafe { exec::invtlb_address_global(page) };
            }),
            // SAFETY: 1. the caller of `new` ensures it.
            Step::Asid(asid) => unsafe { exec::invtlb_asid(asid) },
            // SAFETY: 1. as above.
            Step::Globals => unsafe { exec::invtlb_globals() },
            // SAFETY: 1. as above.
            Step::All => unsafe { exec::invtlb_all() },
            Step::Nothing => {}
        }
    }
}

#[inline]
fn dbar() {
    // SAFETY: it has no effect but order.
    unsafe { exec::dbar() };
}

#[inline]
fn ibar() {
    // SAFETY: it has no effect but order.
    unsafe { exec::ibar() };
}
