//! The same for guests: stage 2, by VMID.

use crate::encode::{Root, Ttl, Vmid, by_ipa, vttbr};
use crate::exec;
use crate::plan::{Errata, RANGE_CEILING};
use shootdown::TagBroadcast;

/// What a hypervisor at EL2 drops of a guest, on all CPUs of the inner-shareable domain.
#[derive(Clone, Copy, Debug)]
pub struct Stage2 {
    errata: Errata,
}

impl Stage2 {
    /// Makes the part.
    ///
    /// # Safety
    /// The caller owes:
    /// 1. the value is used at EL2 alone, with interrupts off, and with no guest's EL1 in use while it works
    ///    (HCR_EL2.TGE, or the guest's registers saved).
    pub const unsafe fn new(errata: Errata) -> Self {
        Self { errata }
    }

    /// Drops `count` granules of intermediate physical addresses from `first`, each a multiple of `granule_bytes`, and
    /// what stage 1 made of them. More than [`RANGE_CEILING`] drop the whole guest.
    ///
    /// Entries of both stages together are found by virtual address alone, which nobody knows here: so stage 1 goes whole
    /// once stage 2 is gone (Arm D8.14).
    pub fn flush_addresses(&self, guest: (Root, Vmid), first: u64, count: u64, granule_bytes: u64) {
        if count > RANGE_CEILING {
            self.flush_guest(guest);
            return;
        }
        self.in_guest(guest, || {
            for page in 0..count {
                let operand = by_ipa(first.wrapping_add(page * granule_bytes), Ttl::ANY);
                // SAFETY: 1. `new` owes it.
                self.repeat(|| unsafe { exec::tlbi_ipas2e1is(operand) });
            }
            dsb_ish();
            // SAFETY: 1. `new` owes it.
            self.repeat(|| unsafe { exec::tlbi_vmalle1is() });
        });
    }

    /// Drops everything of a guest.
    pub fn flush_guest(&self, guest: (Root, Vmid)) {
        // SAFETY: 1. `new` owes it.
        self.in_guest(guest, || self.repeat(|| unsafe { exec::tlbi_vmalls12e1is() }));
    }

    /// Runs `maintenance` under the guest's VMID, which the instructions take from VTTBR_EL2.
    fn in_guest(&self, (root, vmid): (Root, Vmid), maintenance: impl FnOnce()) {
        // SAFETY: 1. `new` owes it.
        unsafe { exec::dsb_ishst() };
        // SAFETY: 1. `new` owes it.
        let before = unsafe { exec::read_vttbr() };
        write_vttbr(vttbr(root, vmid));
        maintenance();
        dsb_ish();
        write_vttbr(before);
    }

    fn repeat(&self, run: impl Fn()) {
        run();
        if self.errata == Errata::RepeatTlbi {
            dsb_ish();
            run();
        }
    }
}

impl TagBroadcast for Stage2 {
    fn flush_all_tags(&self) {
        // SAFETY: 1. `new` owes it.
        unsafe { exec::dsb_ishst() };
        // SAFETY: 1. `new` owes it.
        self.repeat(|| unsafe { exec::tlbi_alle1is() });
        dsb_ish();
        // SAFETY: 1. as above.
        unsafe { exec::isb() };
    }
}

fn write_vttbr(value: u64) {
    // SAFETY: 1. `Stage2::new` owes it; 2. nothing is walked through it meanwhile, or it is what was loaded.
    unsafe { exec::write_vttbr(value) };
    // SAFETY: 1. as above.
    unsafe { exec::isb() };
}

fn dsb_ish() {
    // SAFETY: 1. `Stage2::new` owes it.
    unsafe { exec::dsb_ish() };
}
