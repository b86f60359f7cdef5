//! The part of a platform.

use crate::encode::{Asid, Root, SSTATUS_SIE, asid_bits, asid_of};
use crate::exec;
use crate::plan::{Step, Strategies};
use shootdown::Platform;
use shootdown::flush::{LocalFlush, Pages, Remote, RemoteFlush, VirtAddr};
use shootdown::tags::{OnInstall, Tag};

/// Bodies of the methods of a [`Platform`] that touch the hardware. One value for all harts, so that they agree.
#[derive(Clone, Copy, Debug)]
pub struct Mmu {
    strategies: Strategies,
    kernel_root: Root,
}

impl Mmu {
    /// Makes the part. `kernel_root` maps kernel memory alone, and is loaded for no space.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the value is used in supervisor mode alone, on harts that have what the strategies say.
    pub const unsafe fn new(strategies: Strategies, kernel_root: Root) -> Self {
        Self { strategies, kernel_root }
    }

    /// The hardware features in use.
    pub const fn strategies(&self) -> &Strategies {
        &self.strategies
    }

    /// Finds how many bits ASIDs have on this hart.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. it runs in supervisor mode, with interrupts off and translation on.
    pub unsafe fn probe_asid_bits() -> u32 {
        // SAFETY: 1. the caller's.
        asid_bits(unsafe { exec::probe_asid() })
    }

    /// Body of [`Platform::flush_local`].
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off.
    #[inline]
    pub unsafe fn flush_local(&self, what: LocalFlush) {
        match self.strategies.local(what) {
            Step::Pages(pages, asid) if self.strategies.svinval() => {
                pipelined(pages, |page| {
                    // SAFETY: 1. the caller of `new` ensures it; Svinval is used where it exists.
                    unsafe { exec::sinval_address_asid(page, asid) };
                });
            }
            Step::Pages(pages, asid) => pages.for_each(|page| {
                // SAFETY: 1. the caller of `new` ensures it.
                unsafe { exec::sfence_address_asid(page, asid) };
            }),
            Step::PagesOfAll(pages) if self.strategies.svinval() => {
                pipelined(pages, |page| {
                    // SAFETY: 1. as above.
                    unsafe { exec::sinval_address(page) };
                });
            }
            Step::PagesOfAll(pages) => pages.for_each(|page| {
                // SAFETY: 1. the caller of `new` ensures it.
                unsafe { exec::sfence_address(page) };
            }),
            Step::Asid(asid) => fence_asid(asid),
            // SAFETY: 1. the caller of `new` ensures it.
            Step::All => unsafe { exec::sfence_all() },
            Step::Nothing => {}
        }
        if self.strategies.syncs_contexts(what.request) {
            fence_i();
        }
    }

    /// Body of [`Platform::install`]. Tags that are no ASID, and no root, share ASID 0, which is flushed at each load.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off;
    /// 2. the root maps the running kernel, and its tables stay until another is installed;
    /// 3. `how` is such that no entry under `tag` belongs to another space or to an older state of this one.
    #[inline]
    pub unsafe fn install(&self, root: Option<Root>, tag: Tag, how: OnInstall) {
        let tag = if root.is_some() { tag } else { Tag::NONE };
        let root = root.unwrap_or(self.kernel_root);
        // SAFETY: 1. the caller of `new` ensures it.
        let current = asid_of(unsafe { exec::read_satp() });
        let plan = self.strategies.install(root, tag, how, current);
        if let Some(asid) = plan.before {
            fence_asid(asid);
        }
        // SAFETY: 1. the caller of `new` ensures it; 2. the caller does.
        unsafe { exec::write_satp(plan.satp) };
        if let Some(asid) = plan.after {
            fence_asid(asid);
        }
        if plan.syncs_contexts {
            fence_i();
        }
    }

    /// Body of [`Platform::flush_remote`]: the firmware's remote fences, where they are used. If the firmware refuses,
    /// IPIs are used instead, so tags must not rest on broadcasts here.
    #[inline]
    pub fn flush_remote<P: Platform>(&self, what: &RemoteFlush<'_, P>) -> Remote {
        let tag = what.space.and(what.tag);
        let Some(call) = self.strategies.remote(tag, what.request) else {
            return Remote::NeedsIpi;
        };
        // SAFETY: 1. the caller of `new` ensures it; 2. a fence changes no memory.
        if unsafe { exec::sbi_call(call) } == 0 { Remote::Done } else { Remote::NeedsIpi }
    }

    /// Body of [`Platform::publish_tables`]. Nothing is needed: the engine's fence orders this hart's stores before its
    /// IPI, and each hart fences its own walks.
    #[inline]
    pub fn publish_tables(&self) {}

    /// Body of [`Platform::irq_save`].
    #[inline]
    pub fn irq_save(&self) -> bool {
        // SAFETY: 1. the caller of `new` ensures it.
        let status = unsafe { exec::interrupts_off() };
        status & SSTATUS_SIE != 0
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
}

#[inline]
fn fence_asid(asid: Asid) {
    // SAFETY: 1. the caller of `Mmu::new` ensures it.
    unsafe { exec::sfence_asid(asid) };
}

#[inline]
fn fence_i() {
    // SAFETY: it has no effect but order.
    unsafe { exec::fence_i() };
}

/// Runs `invalidate` for each page, between the two fences that Svinval asks for.
#[inline]
pub(crate) fn pipelined(pages: Pages, invalidate: impl Fn(VirtAddr)) {
    // SAFETY: 1. the caller of `Mmu::new` ensures it; Svinval is used where it exists.
    unsafe { exec::sfence_w_inval() };
    pages.for_each(invalidate);
    // SAFETY: 1. as above.
    unsafe { exec::sfence_inval_ir() };
}
