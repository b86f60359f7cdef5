//! The part of a platform.

use crate::encode::{Asid, DAIF_I, Root, asid_of, by_asid};
use crate::exec;
use crate::features::AsidIn;
use crate::ops::{Form, Ops, Tlbi};
use crate::plan::{Errata, Roots, Strategies};
use shootdown::Platform;
use shootdown::flush::{FlushRequest, LocalFlush, Remote, RemoteFlush};
use shootdown::tags::{OnInstall, Tag, TagBroadcast};

/// Bodies of the methods of a [`Platform`] that touch the hardware. One value for all CPUs, so that they agree.
#[derive(Clone, Copy, Debug)]
pub struct Mmu {
    strategies: Strategies,
    roots: Roots,
}

impl Mmu {
    /// Makes the part.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the value is used at EL1 alone, or at EL2 of a host (HCR_EL2.E2H and TGE), on CPUs that have what the
    ///    strategies were chosen from;
    /// 2. the roots stay allocated; the empty one maps nothing, the other is what TTBR1_EL1 holds.
    pub const unsafe fn new(strategies: Strategies, roots: Roots) -> Self {
        Self { strategies, roots }
    }

    /// The hardware features in use.
    pub const fn strategies(&self) -> &Strategies {
        &self.strategies
    }

    /// Body of [`Platform::flush_local`]. It ends in an ISB whatever is asked for, which synchronises the context, as
    /// the return from an exception does too (Arm D1, exception return; not with SCTLR_EL1.EOS at 0, and not soon
    /// enough for the kernel's own code). The writer of the code has cleaned and invalidated caches for it before.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off.
    #[inline]
    pub unsafe fn flush_local(&self, what: LocalFlush) {
        // TLBI is not ordered after earlier loads, acquires included: without this it could run before the generation was
        // read, and a walk in between refill what was to go.
        dsb_nsh();
        self.strategies.local(what).for_each(|op| {
            here(op);
            if self.strategies.errata() == Errata::RepeatTlbi {
                dsb_nsh();
                here(op);
            }
        });
        dsb_nsh();
        isb();
    }

    /// Body of [`Platform::install`]. Tags that are no ASID, and no root, share ASID 0, which is flushed at each load.
    /// An ISB comes last, so that contexts are synchronised too.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off;
    /// 2. the root's tables stay until another is installed;
    /// 3. `how` is such that no entry under `tag` belongs to another space or to an older state of this one.
    #[inline]
    pub unsafe fn install(&self, root: Option<Root>, tag: Tag, how: OnInstall) {
        let plan = self.strategies.install(self.roots, root, tag, how, self.current());
        // Walks through the new root come after all earlier loads, which the writes below do not wait for.
        dsb_ishld();
        if let Some(detour) = plan.detour {
            write_ttbr0(detour);
        }
        if let Some(asid) = plan.flush {
            self.flush_asid(asid);
        }
        if let Some(ttbr1) = plan.ttbr1 {
            // SAFETY: 1. the caller of `new` ensures it; 2. it is the kernel's root with another ASID.
            unsafe { exec::write_ttbr1(ttbr1) };
            isb();
        }
        write_ttbr0(plan.ttbr0);
    }

    /// Body of [`Platform::flush_remote`]: broadcasts in the inner-shareable domain, where they are used.
    #[inline]
    pub fn flush_remote<P: Platform>(&self, what: &RemoteFlush<'_, P>) -> Remote {
        let tag = what.space.and(what.tag);
        match self.strategies.remote(tag, what.request) {
            Some(ops) => {
                self.broadcast(ops);
                Remote::Done
            }
            None => Remote::NeedsIpi,
        }
    }

    /// Returns what flushes all tags of all CPUs at once, for tags that rest on broadcasts, if broadcasts are used.
    pub const fn broadcaster(&self) -> Option<Broadcaster> {
        if self.strategies.broadcasts() { Some(Broadcaster(*self)) } else { None }
    }

    fn broadcast(&self, ops: Ops) {
        // DSB waits for what this very CPU asked: the thread must not move in between.
        let were_on = self.irq_save();
        self.publish_tables();
        ops.for_each(|op| {
            everywhere(op);
            if self.strategies.errata() == Errata::RepeatTlbi {
                dsb_ish();
                everywhere(op);
            }
        });
        dsb_ish();
        isb();
        self.irq_restore(were_on);
    }

    /// Body of [`Platform::publish_tables`].
    #[inline]
    pub fn publish_tables(&self) {
        // SAFETY: 1. the caller of `new` ensures it.
        unsafe { exec::dsb_ishst() };
    }

    /// Body of [`Platform::irq_save`]: IRQ alone, FIQ stays as it is.
    #[inline]
    pub fn irq_save(&self) -> bool {
        // SAFETY: 1. the caller of `new` ensures it.
        let daif = unsafe { exec::interrupts_off() };
        daif & DAIF_I == 0
    }

    /// Body of [`Platform::irq_restore`].
    #[inline]
    pub fn irq_restore(&self, were_on: bool) {
        if were_on {
            // SAFETY: 1. the caller of `new` ensures it.
            unsafe { exec::interrupts_on() };
        }
    }

    /// Body of [`Platform::relax`].
    #[inline]
    pub fn relax(&self) {
        core::hint::spin_loop();
    }

    #[inline]
    fn current(&self) -> Asid {
        asid_of(match self.strategies.translation().asid_in {
            // SAFETY: 1. the caller of `new` ensures it.
            AsidIn::Ttbr0 => unsafe { exec::read_ttbr0() },
            // SAFETY: 1. as above.
            AsidIn::Ttbr1 => unsafe { exec::read_ttbr1() },
        })
    }

    #[inline]
    fn flush_asid(&self, asid: Asid) {
        let op = Tlbi { form: Form::Asid, operand: by_asid(asid) };
        dsb_nsh();
        here(op);
        if self.strategies.errata() == Errata::RepeatTlbi {
            dsb_nsh();
            here(op);
        }
        dsb_nsh();
        isb();
    }
}

/// Flushes all tags of all CPUs at once.
#[derive(Clone, Copy, Debug)]
pub struct Broadcaster(Mmu);

// SAFETY: 1. one is made where broadcasts reach all CPUs, and then there is a TLBI for everything, which a DSB waits for.
unsafe impl TagBroadcast for Broadcaster {
    fn flush_all_tags(&self) {
        if let Some(ops) = self.0.strategies.remote(None, FlushRequest::all().tables_freed()) {
            self.0.broadcast(ops);
        }
    }
}

/// Makes a function that runs one TLBI. A choice among calls, as one among function pointers would stay indirect.
macro_rules! run {
    ($(#[$doc:meta])+ $name:ident: $($form:ident => $instruction:ident),+; $all:ident) => {
        $(#[$doc])+
        #[inline]
        fn $name(op: Tlbi) {
            match op.form {
                // SAFETY: 1. the caller of `Mmu::new` ensures it.
                $(Form::$form => unsafe { exec::$instruction(op.operand) },)+
                // SAFETY: 1. as above.
                Form::All => unsafe { exec::$all() },
            }
        }
    };
}

run! {
    /// Runs one TLBI for this CPU.
    here:
    Va => tlbi_vae1, VaLeaf => tlbi_vale1, VaAll => tlbi_vaae1, VaAllLeaf => tlbi_vaale1,
    Range => tlbi_rvae1, RangeLeaf => tlbi_rvale1, RangeAll => tlbi_rvaae1, RangeAllLeaf => tlbi_rvaale1,
    Asid => tlbi_aside1; tlbi_vmalle1
}

run! {
    /// Runs one TLBI for the inner-shareable domain.
    everywhere:
    Va => tlbi_vae1is, VaLeaf => tlbi_vale1is, VaAll => tlbi_vaae1is, VaAllLeaf => tlbi_vaale1is,
    Range => tlbi_rvae1is, RangeLeaf => tlbi_rvale1is, RangeAll => tlbi_rvaae1is,
    RangeAllLeaf => tlbi_rvaale1is,
    Asid => tlbi_aside1is; tlbi_vmalle1is
}

#[inline]
fn write_ttbr0(value: u64) {
    // SAFETY: 1. the caller of `Mmu::new` ensures it; 2. the callers of `Mmu::new` and `Mmu::install` ensure it.
    unsafe { exec::write_ttbr0(value) };
    isb();
}

#[inline]
fn dsb_nsh() {
    // SAFETY: 1. the caller of `Mmu::new` ensures it.
    unsafe { exec::dsb_nsh() };
}

#[inline]
fn dsb_ish() {
    // SAFETY: 1. the caller of `Mmu::new` ensures it.
    unsafe { exec::dsb_ish() };
}

#[inline]
fn dsb_ishld() {
    // SAFETY: 1. the caller of `Mmu::new` ensures it.
    unsafe { exec::dsb_ishld() };
}

#[inline]
fn isb() {
    // SAFETY: 1. the caller of `Mmu::new` ensures it.
    unsafe { exec::isb() };
}
