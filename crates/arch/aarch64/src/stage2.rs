//! The part of a hypervisor's platform.

use crate::encode::{Root, Vmid, vttbr};
use crate::exec;
use crate::guest::{GuestFlush, Guests};
use crate::plan::Errata;
use shootdown::Platform;
use shootdown::flush::{LocalFlush, Remote, RemoteFlush};
use shootdown::tags::{OnInstall, Tag, TagBroadcast};

/// Bodies of the methods of a [`Platform`] whose spaces are guests: stage 2, at EL2. Every flush is a broadcast.
#[derive(Clone, Copy, Debug)]
pub struct Stage2 {
    guests: Guests,
    empty: Root,
}

impl Stage2 {
    /// Makes the part. `empty` is a table of stage 2 that maps nothing.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the value is used at EL2 alone, with HCR_EL2.TGE 0 (where E2H and TGE are set, these instructions mean the
    ///    host's own translations), while no translation of EL1 is used on the CPU, in one inner-shareable domain, with
    ///    stage 2 set up as `guests` says;
    /// 2. the empty table stays allocated.
    pub const unsafe fn new(guests: Guests, empty: Root) -> Self {
        Self { guests, empty }
    }

    /// How stage 2 is set up.
    pub const fn guests(&self) -> &Guests {
        &self.guests
    }

    /// Body of [`Platform::flush_local`]: reaches the other CPUs as well.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off.
    pub unsafe fn flush_local(&self, what: LocalFlush) {
        self.carry_out(self.guests.local(what));
    }

    /// Body of [`Platform::install`]. Tags that are no VMID, and no root, share VMID 0, which is flushed at each load.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off;
    /// 2. the root's tables stay until another is installed;
    /// 3. `how` is such that no entry under `tag` belongs to another guest or to an older state of this one.
    pub unsafe fn install(&self, root: Option<Root>, tag: Tag, how: OnInstall) {
        let (root, vmid) = match root {
            Some(root) => (root, self.guests.vmid(tag)),
            None => (self.empty, Vmid::SHARED),
        };
        // SAFETY: 1. the caller of `new` ensures it. Walks for the guest come after all earlier loads.
        unsafe { exec::dsb_ishld() };
        if how == OnInstall::Flush || vmid == Vmid::SHARED {
            // What goes, goes while its tables are not loaded.
            write_vttbr(vttbr(self.empty, Vmid::SHARED));
            self.carry_out(GuestFlush::Guest(vmid));
        }
        write_vttbr(vttbr(root, vmid));
    }

    /// Body of [`Platform::flush_remote`]; always done, so that tags may rest on it.
    pub fn flush_remote<P: Platform>(&self, what: &RemoteFlush<'_, P>) -> Remote {
        let tag = what.space.and(what.tag);
        // DSB waits for what this very CPU asked: the thread must not move in between. SAFETY: 1. the caller of `new`
        // ensures it.
        let daif = unsafe { exec::interrupts_off() };
        self.carry_out(self.guests.flush(tag, what.request));
        if daif & crate::encode::DAIF_I == 0 {
            // SAFETY: 1. as above; they were on before.
            unsafe { exec::interrupts_on() };
        }
        Remote::Done
    }

    fn carry_out(&self, flush: GuestFlush) {
        // The page-table stores, and the loads that brought the request, come before the maintenance.
        dsb_ish();
        match flush {
            GuestFlush::Pages(vmid, pages) => self.under(vmid, || {
                for operand in pages {
                    // SAFETY: 1. the caller of `new` ensures it.
                    self.repeat(|| unsafe { exec::tlbi_ipas2e1is(operand) });
                }
                dsb_ish();
                // SAFETY: 1. the caller of `new` ensures it.
                self.repeat(|| unsafe { exec::tlbi_vmalle1is() });
            }),
            GuestFlush::Guest(vmid) => self.under(vmid, || {
                // SAFETY: 1. the caller of `new` ensures it.
                self.repeat(|| unsafe { exec::tlbi_vmalls12e1is() });
            }),
            // SAFETY: 1. the caller of `new` ensures it.
            GuestFlush::All => self.repeat(|| unsafe { exec::tlbi_alle1is() }),
        }
        dsb_ish();
        isb();
    }

    /// Runs `maintenance` under a VMID, which the instructions take from VTTBR_EL2.
    fn under(&self, vmid: Vmid, maintenance: impl FnOnce()) {
        // SAFETY: 1. the caller of `new` ensures it.
        let before = unsafe { exec::read_vttbr() };
        write_vttbr(vttbr(self.empty, vmid));
        maintenance();
        dsb_ish();
        write_vttbr(before);
    }

    fn repeat(&self, run: impl Fn()) {
        run();
        if self.guests.errata == Errata::RepeatTlbi {
            dsb_ish();
            run();
        }
    }
}

// SAFETY: 1. `TLBI VMALLS12E1IS` drops all guests' entries on all CPUs of the Inner Shareable domain, and a DSB waits for it.
unsafe impl TagBroadcast for Stage2 {
    fn flush_all_tags(&self) {
        self.carry_out(GuestFlush::All);
    }
}

fn write_vttbr(value: u64) {
    // SAFETY: 1. the caller of `Stage2::new` ensures it; 2. `Stage2::new` and `Stage2::install` do.
    unsafe { exec::write_vttbr(value) };
    isb();
}

fn dsb_ish() {
    // SAFETY: 1. the caller of `Stage2::new` ensures it.
    unsafe { exec::dsb_ish() };
}

fn isb() {
    // SAFETY: 1. the caller of `Stage2::new` ensures it.
    unsafe { exec::isb() };
}
